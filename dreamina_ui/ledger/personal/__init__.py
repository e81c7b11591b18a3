"""What a visitor makes of their images: boards, shared pages, and the end of all of it."""
