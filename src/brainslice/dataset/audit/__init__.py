"""Audit of a data set before training."""
