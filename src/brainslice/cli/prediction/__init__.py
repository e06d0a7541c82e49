"""Commands that answer for scans."""
