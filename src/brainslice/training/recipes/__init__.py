"""Training recipes: quick on cached features, full on the whole network."""
