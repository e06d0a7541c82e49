"""What a Keras tutorial would do: the peers that need Keras and TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

Settings = dict[str, Any]
Work = Callable[[], int]

TUTORIAL_EPOCHS = 40
"""Epochs after which the recipe of the tutorials is stopped."""


def network(*, trainable: bool = True) -> keras.Model:
    """Build EfficientNetV2-B0 with a dense head, without downloading weights."""
    base = keras.applications.EfficientNetV2B0(
        include_top=False, weights=None, input_shape=(224, 224, 3), pooling="avg"
    )
    base.trainable = trainable
    scan = keras.Input((224, 224, 1))
    colour = keras.layers.Concatenate()([scan, scan, scan])
    return keras.Model(scan, keras.layers.Dense(4, "softmax")(keras.layers.Dropout(0.2)(base(colour))))


def batch(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random pictures and one-hot labels."""
    inputs = np.random.default_rng(0).uniform(0, 255, (count, 224, 224, 1)).astype(np.float32)
    return inputs, np.eye(4, dtype=np.float32)[np.arange(count) % 4]


def _ready(path: str) -> np.ndarray:
    scan = Image.open(path).convert("L").resize((224, 224))
    return np.asarray(scan, dtype="float32")[None, ..., None]


def save_model(settings: Settings) -> Work:
    """Write the network's file for ``cold``."""

    def work() -> int:
        network().save(settings["scratch"] + "/model.keras")
        return 1

    return work


def cold(settings: Settings) -> Work:
    """Load the file, predict one scan: no calibration, no explanation, no check of the input."""

    def work() -> int:
        model = keras.models.load_model(settings["scratch"] + "/model.keras", compile=False)
        model.predict(_ready(settings["images"][0]), verbose=0)
        return 1

    return work


def warm(settings: Settings) -> Work:
    """Call ``model.predict`` on ready arrays, one scan a call."""
    model, ready = network(), [_ready(name) for name in settings["images"][: settings["few"]]]

    def work() -> int:
        for scan in ready:
            model.predict(scan, verbose=0)
        return len(ready)

    return work


def feeding(settings: Settings) -> Work:
    """Feed one epoch with ``image_dataset_from_directory``, cached in memory and shuffled."""
    from tensorflow.data import AUTOTUNE

    place = Path(settings["scratch"]) / "pictures"
    for number in range(512):
        path = place / str(number % 4) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_ready(settings["images"][number % len(settings["images"])])[0, ..., 0].astype("uint8")).save(
            path
        )
    data = keras.utils.image_dataset_from_directory(
        place, color_mode="grayscale", image_size=(224, 224), label_mode="categorical", batch_size=32, verbose=False
    )
    data = data.unbatch().cache().shuffle(512).batch(32).prefetch(AUTOTUNE)
    sum(1 for _ in data)

    def work() -> int:
        return sum(len(inputs) for inputs, _ in data)

    return work


def step(settings: Settings) -> Work:
    """Call ``fit`` on one batch in memory, four times in an epoch."""
    import tensorflow as tf

    model = network()
    model.compile(keras.optimizers.AdamW(1e-4), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    inputs, targets = batch(settings["batch"])
    data = tf.data.Dataset.from_tensors((inputs, targets)).cache().repeat(4)

    def work() -> int:
        model.fit(data, verbose=0)
        return 4 * len(inputs)

    return work


def frozen_epoch(settings: Settings) -> Work:
    """Call ``fit`` with a frozen backbone, on pictures in memory."""
    model = network(trainable=False)
    model.compile("adamw", "categorical_crossentropy", jit_compile=False)
    inputs, targets = batch(settings["batch"] * 4)

    def work() -> int:
        model.fit(inputs, targets, batch_size=32, verbose=0)
        return len(inputs)

    return work


def time_to_f1(settings: Settings) -> Work:
    """Train a dense head on the frozen backbone until the macro F1 score of the validation fold reaches the target.

    After ``TUTORIAL_EPOCHS`` it stops below the target, and the ratio of the row is a lower bound.
    """
    from ours import TARGET_F1, prepared

    from brainslice.dataset import Manifest, assign_split
    from brainslice.metrics import confusion, macro_f1

    paths, config = prepared(settings)
    chosen = assign_split(Manifest.read(paths.data), config)
    for part in ("train", "validation"):
        for row in getattr(chosen.split, part):
            record = chosen.manifest.records[row]
            link = paths.root / "tutorial" / part / record.label / Path(record.path).name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((paths.data / record.path).resolve())

    def read(part: str) -> Any:  # noqa: ANN401 - TensorFlow is imported when used
        return keras.utils.image_dataset_from_directory(
            paths.root / "tutorial" / part, image_size=(224, 224), label_mode="categorical", verbose=False
        )

    def work() -> int:
        base = keras.applications.EfficientNetV2B0(
            include_top=False, weights=settings["weights"], input_shape=(224, 224, 3), pooling="avg"
        )
        base.trainable = False
        layers = keras.layers
        model = keras.Sequential(
            [
                *(layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomContrast(0.1), base),
                *(layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(4, "softmax")),
            ]
        )
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
        model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
        train, validation = read("train"), read("validation")
        for epoch in range(TUTORIAL_EPOCHS):
            model.fit(train, verbose=0)
            batches = [(targets, model.predict_on_batch(inputs)) for inputs, targets in validation]
            labels, predicted = (np.concatenate(each).argmax(axis=1) for each in zip(*batches, strict=True))
            score = macro_f1(confusion(labels, predicted, 4))
            print(f"epoch {epoch + 1}: macro F1 {score:.3f}", file=sys.stderr, flush=True)
            if score >= TARGET_F1:
                break
        return 1

    return work
