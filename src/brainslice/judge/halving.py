"""What storing a model's weights in 16 bits changes, measured on the scans that chose it."""

from __future__ import annotations

from typing import Final

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.bundle.types import HalfParity
from brainslice.errors import ParityError
from brainslice.infer.engine import Engine
from brainslice.infer.predictor import Predictor
from brainslice.progress import Progress, silent

MOST_CHANGED: Final = 1e-2
"""No probability may change by more."""

LEAST_SAME: Final = 0.995
"""So many of the scans must keep their class."""

_BATCH: Final = 32


def half_parity(whole: Predictor, half: Engine, inputs: InputBatch, progress: Progress = silent) -> HalfParity:
    """Compare the answers of a graph of 16-bit weights with those of the bundle it was made from.

    Args:
        whole: The bundle with weights of 32 bits.
        half: The graph with weights of 16.
        inputs: Network inputs ``(n, h, w)`` of validation scans, never of test scans.
        progress: Told how many of the ``n`` are done.

    Returns:
        The largest difference of any probability, and how many scans keep their class.

    Raises:
        ParityError: More changed than ``MOST_CHANGED`` and ``LEAST_SAME`` allow.
    """
    largest, same = 0.0, 0
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH]
        before, after = (whole.temperature.probabilities(engine.run(batch).logits) for engine in (whole.engine, half))
        largest = max(largest, float(np.abs(before - after).max()))
        same += int((before.argmax(axis=1) == after.argmax(axis=1)).sum())
        progress("compare", start + len(batch), len(inputs))
    found = HalfParity(
        n=len(inputs), probabilities=largest, same_class=same / len(inputs), source=whole.bundle.info.digest
    )
    if largest > MOST_CHANGED or found.same_class < LEAST_SAME:
        msg = (
            f"16-bit weights must change no probability by more than {MOST_CHANGED:g} and keep the class of "
            f"{LEAST_SAME:.1%}, got {largest:.3g} and {found.same_class:.2%}; ship the weights in 32 bits"
        )
        raise ParityError(msg)
    return found
