"""Checkpoints from which an interrupted stage resumes bit for bit.

Neither ``.keras`` nor ``save_weights`` stores the counters of the random generators, so every variable of the model and
of its optimizer is written, together with the history and the best weights so far.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brainslice.errors import UsageError
from brainslice.files import atomic_file
from brainslice.training.history import Epoch


@dataclass(slots=True)
class TrainingState:
    """State of a stage.

    Attributes:
        fingerprint: Digest of everything the training depends on.
        epochs: All epochs so far, over all stages.
        best: The lowest validation score so far.
        weights: The weights with that score.
        seconds: Time spent in this stage.
    """

    fingerprint: str
    epochs: list[Epoch] = field(default_factory=list)
    best: float = float("inf")
    weights: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0


def save(path: Path, model: keras.Model, state: TrainingState) -> None:
    """Write a checkpoint atomically.

    Raises:
        ResourceError: The disk is full; the previous checkpoint is kept.
    """
    metadata = {
        "fingerprint": state.fingerprint,
        "epochs": [dataclasses.asdict(epoch) for epoch in state.epochs],
        "best": state.best,
        "seconds": state.seconds,
    }
    arrays = {f"variable_{index}": np.asarray(value) for index, value in enumerate(_variables(model))}
    arrays |= {f"best_{index}": value for index, value in enumerate(state.weights)}
    save_arrays(path, metadata, arrays)


def save_arrays(path: Path, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and JSON values into one ``.npz`` file atomically.

    Raises:
        ResourceError: The disk is full; the previous file is kept.
    """
    members = {**arrays, "facts": np.array(json.dumps(metadata))}
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **members)


def restore(path: Path, model: keras.Model, fingerprint: str) -> TrainingState | None:
    """Restore a model and its optimizer from a checkpoint.

    Returns:
        The state of the stage; None where there is no checkpoint with this fingerprint.

    Raises:
        UsageError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            metadata = json.loads(str(arrays["facts"]))
            if metadata["fingerprint"] != fingerprint:
                return None
            for index, variable in enumerate(_variables(model)):
                variable.assign(arrays[f"variable_{index}"])
            weights = [arrays[f"best_{index}"] for index in range(len(model.weights))]
            epochs = [Epoch(**epoch) for epoch in metadata["epochs"]]
            return TrainingState(fingerprint, epochs, metadata["best"], weights, metadata["seconds"])
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: the checkpoint is damaged; delete it to start this training again"
        raise UsageError(msg) from error


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]
