"""A classifier that nobody trained, as another project would save it."""

from __future__ import annotations

from pathlib import Path

import keras

from stand_in import SETTINGS, SIZE

NAMES = ("pituitary tumor", "notumor", "Glioma", "meningioma")
CONFIG = dict(setting.split("=", 1) for setting in SETTINGS)


def classifier(path: Path, *, pooled: bool = True) -> keras.Model:
    """Save a small network that nobody trained."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(6, 7, 8, activation="relu")]
    layers += [keras.layers.GlobalAveragePooling2D() if pooled else keras.layers.Flatten()]
    layers += [keras.layers.Dense(4, activation="softmax", kernel_initializer="he_normal")]
    model = keras.Sequential(layers)
    model.save(path)
    return model
