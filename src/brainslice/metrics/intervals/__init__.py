"""Confidence intervals of proportions, areas and means."""
