from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from brainslice.training.history import Epoch, write_events, write_history, write_log

EPOCHS = (
    Epoch(1, "head", 0.01, 1.25, 0.5, 1.125, 0.5, 1.0625),
    Epoch(2, "tail", 0.001, 0.75, 0.625, 0.875, 0.75, 0.8125),
)


def events(folder: Path) -> list[tuple[int, str, float]]:
    (file,) = folder.iterdir()
    found = []
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            number = value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
            found.append((event.step, value.tag, number))
    return found


def test_the_history_says_all_of_every_epoch(tmp_path: Path) -> None:
    write_history(EPOCHS, tmp_path / "reports")
    said = json.loads((tmp_path / "reports" / "training_history.json").read_text())
    assert [Epoch(**epoch) for epoch in said] == list(EPOCHS)


def test_the_table_says_all_of_every_epoch(tmp_path: Path) -> None:
    write_log(EPOCHS, tmp_path / "logs" / "training.csv")
    with (tmp_path / "logs" / "training.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, epoch in zip(rows, EPOCHS, strict=True):
        assert row == {name: str(value) for name, value in dataclasses.asdict(epoch).items()}


def test_tensorboard_reads_every_number(tmp_path: Path) -> None:
    write_events(EPOCHS, tmp_path / "tensorboard")
    found = events(tmp_path / "tensorboard")
    assert len(found) == 10
    assert (2, "validation_loss", 0.875) in found
    assert (1, "learning_rate", pytest.approx(0.01)) in found


def test_the_events_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    write_events(EPOCHS, tmp_path / "tensorboard")
    write_events(EPOCHS[:1], tmp_path / "tensorboard")
    assert {step for step, _, _ in events(tmp_path / "tensorboard")} == {1}
