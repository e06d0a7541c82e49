"""Volumes from files and series."""
