"""Adaptation of a bundle to another site."""
