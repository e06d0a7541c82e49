"""Commands that prepare data sets."""
