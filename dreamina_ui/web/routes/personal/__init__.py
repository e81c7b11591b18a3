"""Routes of what visitors make of their images: boards, shared pages, and taking everything away."""
