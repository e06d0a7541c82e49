"""Curves over thresholds, with areas and intervals."""
