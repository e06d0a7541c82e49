"""Training history: metrics of each epoch, written as JSON, CSV and TensorBoard events."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeAlias

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from brainslice.config import LogConfig
from brainslice.files import atomic_folder, write_json, write_text
from brainslice.paths import ProjectPaths


@dataclass(frozen=True, slots=True)
class Epoch:
    """Metrics of one pass over the training scans.

    Attributes:
        number: Counts from one over all stages.
        stage: What was trained: ``head``, ``tail`` or ``all``.
        learning_rate: At the epoch's end.
        loss: Mean training loss, with label smoothing, MixUp and weights.
        accuracy: On the (mixed, augmented) training batches.
        validation_loss: Negative log-likelihood of the validation scans, in nats.
        validation_accuracy: On the validation scans.
        validation_score: What is minimised: the validation loss at its best temperature.
        validation_macro_f1: On the validation scans.
    """

    number: int
    stage: str
    learning_rate: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_score: float
    validation_macro_f1: float


EachEpoch: TypeAlias = Callable[[Sequence[Epoch]], None]
"""Called after each epoch with all epochs so far."""


def ignore_epochs(epochs: Sequence[Epoch]) -> None:
    """Ignore the epochs."""


def write_logs(epochs: Sequence[Epoch], paths: ProjectPaths, config: LogConfig) -> None:
    """Write the epochs as JSON and, where configured, as CSV and TensorBoard events."""
    write_json(
        paths.reports / "training_history.json", {"epochs": [asdict(epoch) for epoch in epochs]}, "training-history"
    )
    if config.csv:
        _write_csv(epochs, paths.logs / "training.csv")
    if config.tensorboard:
        _write_events(epochs, paths.logs / "tensorboard")


def _write_csv(epochs: Sequence[Epoch], path: Path) -> None:
    """Write the epochs as CSV atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in epochs)
    write_text(path, text.getvalue())


def _write_events(epochs: Sequence[Epoch], folder: Path) -> None:
    """Write the epochs as TensorBoard events, replacing those of an earlier run."""
    with atomic_folder(folder) as staging:
        writer = EventFileWriter(str(staging))
        for epoch in epochs:
            validation = ("validation_loss", "validation_accuracy", "validation_macro_f1")
            names = ("learning_rate", "loss", "accuracy", *validation)
            values = [Summary.Value(tag=name, simple_value=getattr(epoch, name)) for name in names]
            writer.add_event(Event(wall_time=time.time(), step=epoch.number, summary=Summary(value=values)))
        writer.close()
