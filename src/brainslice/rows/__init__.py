"""A tree becomes a table: many scans, one row each, written as they are answered."""
