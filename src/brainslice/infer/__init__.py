"""A slice becomes a prediction, without any training library."""
