"""A bundle meets its test set."""
