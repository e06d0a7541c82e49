"""Groups, folds and splits."""
