"""The report as one HTML page, from the files of a run."""
