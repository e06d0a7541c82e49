"""Engines that run an exported network, and their wrappers."""
