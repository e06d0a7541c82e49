"""What storing a model's weights in 16 bits changes, measured on the scans that chose it."""

from __future__ import annotations

from typing import Final

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.bundle.types import HalfPrecisionParity
from brainslice.errors import ParityError
from brainslice.inference.engines.engine import Engine
from brainslice.inference.predictor import Predictor
from brainslice.progress import Progress, silent

MAX_CHANGE: Final = 1e-2
"""No probability may change by more."""

MIN_AGREEMENT: Final = 0.995
"""So many of the scans must keep their class."""

_BATCH: Final = 32


def measure_half_precision(
    whole: Predictor, half: Engine, inputs: InputBatch, progress: Progress = silent
) -> HalfPrecisionParity:
    """Compare the answers of a graph of 16-bit weights with those of the bundle it was made from.

    Args:
        whole: The bundle with weights of 32 bits.
        half: The graph with weights of 16.
        inputs: Network inputs ``(n, h, w)`` of validation scans, never of test scans.
        progress: Told how many of the ``n`` are done.

    Returns:
        The largest difference of any probability, and how many scans keep their class.

    Raises:
        ParityError: More changed than ``MAX_CHANGE`` and ``MIN_AGREEMENT`` allow.
    """
    largest, same = 0.0, 0
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH]
        before, after = (whole.temperature.probabilities(engine.run(batch).logits) for engine in (whole.engine, half))
        largest = max(largest, float(np.abs(before - after).max()))
        same += int((before.argmax(axis=1) == after.argmax(axis=1)).sum())
        progress("compare", start + len(batch), len(inputs))
    found = HalfPrecisionParity(
        n=len(inputs), probabilities=largest, same_class=same / len(inputs), source=whole.bundle.info.digest
    )
    if largest > MAX_CHANGE or found.same_class < MIN_AGREEMENT:
        msg = (
            f"16-bit weights must change no probability by more than {MAX_CHANGE:g} and keep the class of "
            f"{MIN_AGREEMENT:.1%}, got {largest:.3g} and {found.same_class:.2%}; ship the weights in 32 bits"
        )
        raise ParityError(msg)
    return found
