"""What happened in each epoch."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from brainslice.files import atomic_folder, write_json, write_text


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training scans.

    Attributes:
        number: Counts from one over all stages.
        stage: ``head``, ``tail`` or ``all``: what was trained.
        learning_rate: At the epoch's end.
        loss: Mean training loss; with label smoothing, MixUp and weights in it.
        accuracy: Of the (mixed, augmented) training batches.
        validation_loss: Negative log-likelihood of the validation scans, natural logarithm.
        validation_accuracy: Share of the validation scans judged rightly.
        validation_score: What is minimised: the validation loss at its best temperature.
    """

    number: int
    stage: str
    learning_rate: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_score: float


def write_history(epochs: Sequence[Epoch], reports: Path) -> None:
    """Write ``training_history.json``, whole or not at all."""
    write_json(reports / "training_history.json", [dataclasses.asdict(epoch) for epoch in epochs])


def write_log(epochs: Sequence[Epoch], path: Path) -> None:
    """Write the epochs as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in dataclasses.fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(epoch) for epoch in epochs)
    write_text(path, text.getvalue())


def write_events(epochs: Sequence[Epoch], folder: Path) -> None:
    """Write the epochs as TensorBoard events, in the place of those of an earlier run."""
    with atomic_folder(folder) as staging:
        writer = EventFileWriter(str(staging))
        for epoch in epochs:
            shown = ("learning_rate", "loss", "accuracy", "validation_loss", "validation_accuracy")
            values = [Summary.Value(tag=name, simple_value=getattr(epoch, name)) for name in shown]
            writer.add_event(Event(wall_time=time.time(), step=epoch.number, summary=Summary(value=values)))
        writer.close()
