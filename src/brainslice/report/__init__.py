"""Numbers become a page."""
