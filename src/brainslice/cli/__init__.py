"""The command door."""
