"""Uploaded files, read under limits."""
