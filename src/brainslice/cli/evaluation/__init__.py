"""Commands that evaluate bundles."""
