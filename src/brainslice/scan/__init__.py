"""A file becomes a slice."""
