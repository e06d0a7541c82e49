"""What a predictor says of test scans besides their probabilities, in the form it is measured in."""

from __future__ import annotations

import numpy as np

from brainslice.arrays import InputBatch, Scores
from brainslice.infer.engine import EngineOutput
from brainslice.infer.predictor import Predictor
from brainslice.infer.safeguards import Judgement
from brainslice.measure.abstention import Caution
from brainslice.trust.triage import doubts


def caution_of(predictor: Predictor, output: EngineOutput, seen: InputBatch) -> Caution:
    """Judge scans as users' scans are judged, and keep what can be held against the truth.

    Args:
        predictor: The one users call.
        output: What its network said about the scans.
        seen: The scans as the network saw them ``(n, h, w)``.
    """
    judged = predictor.safeguards.judge(output, list(seen), predictor.temperature, predictor.threshold)
    probabilities = predictor.temperature.probabilities(output.logits)
    sets, names = predictor.safeguards.sets, predictor.bundle.labels.names
    held = np.array([[name in each.prediction_set for name in names] for each in judged], dtype=bool)
    return Caution(
        doubts=doubts(probabilities, _strangeness(judged)),
        reasons=tuple(tuple(reason.value for reason in each.reasons) for each in judged),
        sets=None if sets is None else held,
        coverage=None if sets is None else sets.coverage,
    )


def _strangeness(judged: list[Judgement]) -> Scores | None:
    found = [each.strangeness for each in judged if each.strangeness is not None]
    return np.array(found) if found else None
