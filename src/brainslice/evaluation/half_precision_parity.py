"""Change of predictions when a bundle's weights are stored in 16 bits."""

from __future__ import annotations

from typing import Final

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.bundle import HalfPrecisionParity
from brainslice.errors import ParityError
from brainslice.inference import Engine, Predictor
from brainslice.progress import Progress, silent

MAX_CHANGE: Final = 1e-2
"""Largest allowed change of a probability."""

MIN_AGREEMENT: Final = 0.995
"""Smallest allowed share of scans that keep their class."""

_BATCH: Final = 32


def measure_half_precision(
    predictor: Predictor, half: Engine, inputs: InputBatch, progress: Progress = silent
) -> HalfPrecisionParity:
    """Compare a graph with 16-bit weights with its bundle, on network inputs ``(n, h, w)`` of validation scans.

    Returns:
        The largest difference of any probability, and the share of scans that keep their class.

    Raises:
        ParityError: The change exceeds ``MAX_CHANGE``, or the agreement is below ``MIN_AGREEMENT``.
    """
    largest, same = 0.0, 0
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH]
        before, after = (
            predictor.temperature.probabilities(engine.run(batch).logits) for engine in (predictor.engine, half)
        )
        largest = max(largest, float(np.abs(before - after).max()))
        same += int((before.argmax(axis=1) == after.argmax(axis=1)).sum())
        progress("compare", start + len(batch), len(inputs))
    agreement = same / len(inputs)
    if largest > MAX_CHANGE or agreement < MIN_AGREEMENT:
        msg = (
            f"16-bit weights must change no probability by more than {MAX_CHANGE:g} and keep the class of "
            f"{MIN_AGREEMENT:.1%}, got {largest:.3g} and {agreement:.2%}; ship the weights in 32 bits"
        )
        raise ParityError(msg)
    source = predictor.bundle.info.digest
    return HalfPrecisionParity(n=len(inputs), probabilities=largest, same_class=agreement, source=source)
