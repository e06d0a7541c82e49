"""Commands that train bundles."""
