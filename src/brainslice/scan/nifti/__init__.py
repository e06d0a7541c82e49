"""NIfTI reading."""
