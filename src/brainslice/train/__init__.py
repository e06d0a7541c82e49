"""A manifest becomes a bundle."""

# Before anything here imports keras: the network room says what TensorFlow has to know by then.
import brainslice.network  # noqa: F401 - imported for what it sets
