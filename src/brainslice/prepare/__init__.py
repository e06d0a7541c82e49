"""A slice becomes network input."""
