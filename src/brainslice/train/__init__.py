"""A manifest becomes a bundle."""
