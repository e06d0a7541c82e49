"""Finding, unpacking and installing scans."""
