"""A project after the whole pipeline, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

QUICK = (
    "model.head=linear",
    "train.lesion.weight=0",
    "augment.mixup=true",
    *(f"augment.{name}=0" for name in ("gamma", "bias_field", "noise", "blur", "inversion")),
    "data.image_size=96",
    "train.quick.views=1",
    "train.quick.head_epochs=10",
    "train.quick.epochs=2",
)
"""Settings that train the shipped backbone on phantoms in seconds."""


@dataclass(frozen=True)
class Project:
    """A project after a run of the pipeline on phantoms, for reading only."""

    root: Path
    source: Path
    said: str

    @property
    def words(self) -> tuple[str, ...]:
        """The settings of the run as command-line arguments."""
        return settings_words(*QUICK)


def settings_words(*settings: str) -> tuple[str, ...]:
    """Return settings as command-line arguments."""
    return tuple(word for setting in settings for word in ("--set", setting))


@contextlib.contextmanager
def run_eagerly(*, traced: bool) -> Iterator[None]:
    """Run TensorFlow's functions without tracing them, unless they are to be traced."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(not traced)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)  # noqa: FBT003
