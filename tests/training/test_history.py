from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from brainslice.config import LogConfig
from brainslice.paths import ProjectPaths
from brainslice.training.history import Epoch, write_logs
from stand_in import config

EPOCHS = (
    Epoch(1, "head", 0.01, 1.25, 0.5, 1.125, 0.5, 1.0625, 0.375),
    Epoch(2, "tail", 0.001, 0.75, 0.625, 0.875, 0.75, 0.8125, 0.6875),
)


def events(folder: Path) -> list[tuple[int, str, float]]:
    (file,) = folder.iterdir()
    found = []
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            number = value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
            found.append((event.step, value.tag, number))
    return found


def test_logs_hold_every_epoch(tmp_path: Path) -> None:
    paths = ProjectPaths.of(tmp_path, config())
    write_logs(EPOCHS, paths, LogConfig())
    history = json.loads((paths.reports / "training_history.json").read_text())
    assert [Epoch(**epoch) for epoch in history["epochs"]] == list(EPOCHS)
    with (paths.logs / "training.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, epoch in zip(rows, EPOCHS, strict=True):
        assert row == {name: str(value) for name, value in dataclasses.asdict(epoch).items()}
    found = events(paths.logs / "tensorboard")
    assert len(found) == 12
    assert (2, "validation_loss", 0.875) in found
    assert (1, "learning_rate", pytest.approx(0.01)) in found


def test_events_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    paths = ProjectPaths.of(tmp_path, config())
    write_logs(EPOCHS, paths, LogConfig())
    write_logs(EPOCHS[:1], paths, LogConfig())
    assert {step for step, _, _ in events(paths.logs / "tensorboard")} == {1}
