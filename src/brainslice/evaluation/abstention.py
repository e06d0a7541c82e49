"""What a predictor says of test scans besides their probabilities, in the form it is measured in."""

from __future__ import annotations

import numpy as np

from brainslice.arrays import InputBatch, Scores
from brainslice.decision.worklist import doubt_scores
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.predictor import Predictor
from brainslice.inference.verdict_rules import Decision
from brainslice.metrics.abstention import AbstentionInputs


def abstention_inputs(predictor: Predictor, output: EngineOutput, seen: InputBatch) -> AbstentionInputs:
    """Judge scans as users' scans are judged, and keep what can be held against the truth.

    Args:
        predictor: The one users call.
        output: What its network said about the scans.
        seen: The scans as the network saw them ``(n, h, w)``.
    """
    judged = predictor.verdict_rules.decide(output, list(seen), predictor.temperature, predictor.threshold)
    probabilities = predictor.temperature.probabilities(output.logits)
    sets, names = predictor.verdict_rules.conformal_sets, predictor.bundle.labels.names
    held = np.array([[name in each.prediction_set for name in names] for each in judged], dtype=bool)
    return AbstentionInputs(
        uncertainty=doubt_scores(probabilities, _strangeness(judged)),
        reasons=tuple(tuple(reason.value for reason in each.reasons) for each in judged),
        prediction_sets=None if sets is None else held,
        coverage=None if sets is None else sets.coverage,
    )


def _strangeness(judged: list[Decision]) -> Scores | None:
    found = [each.ood_score for each in judged if each.ood_score is not None]
    return np.array(found) if found else None
