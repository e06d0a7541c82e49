"""Everything a stage needs to go on where it stopped, bit for bit.

Neither ``.keras`` nor ``save_weights`` keeps the counters of the random generators, so every variable of the model and
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
    """How far a stage has come.

    Attributes:
        fingerprint: What was being trained; a checkpoint of anything else is not ours.
        epochs: What happened so far, over all stages.
        best: The lowest validation score so far.
        weights: The weights that reached it.
        seconds: Time spent in this stage.
    """

    fingerprint: str
    epochs: list[Epoch] = field(default_factory=list)
    best: float = float("inf")
    weights: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0


def save(path: Path, model: keras.Model, standing: TrainingState) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        ResourceError: The disk is full; the previous checkpoint stays.
    """
    facts = {
        "fingerprint": standing.fingerprint,
        "epochs": [dataclasses.asdict(epoch) for epoch in standing.epochs],
        "best": standing.best,
        "seconds": standing.seconds,
    }
    arrays = {f"variable_{place}": np.asarray(value) for place, value in enumerate(_variables(model))}
    arrays |= {f"best_{place}": value for place, value in enumerate(standing.weights)}
    save_arrays(path, facts, arrays)


def save_arrays(path: Path, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays and some facts about them into one ``.npz`` file, whole or not at all.

    Raises:
        ResourceError: The disk is full; the previous file stays.
    """
    members = {**arrays, "facts": np.array(json.dumps(facts))}
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **members)


def restore(path: Path, model: keras.Model, fingerprint: str) -> TrainingState | None:
    """Bring a model and its optimizer back to where a checkpoint left them.

    Returns:
        How far the stage had come; None where there is no checkpoint of this very run.

    Raises:
        UsageError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            if facts["fingerprint"] != fingerprint:
                return None
            for place, variable in enumerate(_variables(model)):
                variable.assign(arrays[f"variable_{place}"])
            weights = [arrays[f"best_{place}"] for place in range(len(model.weights))]
            epochs = [Epoch(**epoch) for epoch in facts["epochs"]]
            return TrainingState(fingerprint, epochs, facts["best"], weights, facts["seconds"])
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: the checkpoint is damaged; delete it to start this training again"
        raise UsageError(msg) from error


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]
