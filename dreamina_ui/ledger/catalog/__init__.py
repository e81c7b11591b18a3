"""What a service said about itself, stored for the time when it is away."""
