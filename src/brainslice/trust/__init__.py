"""Logits become a verdict."""
