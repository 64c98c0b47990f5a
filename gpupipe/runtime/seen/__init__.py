"""What a fit has seen, and what must not be judged by it."""
