from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from brainslice.labels import LabelSet
from brainslice.metrics.bootstrap import resample
from brainslice.metrics.curves.one_vs_rest import trace_curves
from brainslice.metrics.scoring import ScoringInputs


def judged(labels: np.ndarray) -> ScoringInputs:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=len(labels)) * 0.7 + 0.3 * np.eye(4)[labels]
    groups = np.arange(len(labels)) // 3
    return ScoringInputs(labels, probabilities, groups, LabelSet(), resample(groups, 0, draws=200))


def test_each_class_has_its_curves_with_scikit_learns_areas_inside_their_intervals() -> None:
    subject = judged(np.arange(120) % 4)
    curves = trace_curves(subject)
    assert [curve.name for curve in curves] == list(LabelSet().names)
    for place, curve in enumerate(curves):
        positive, chance = subject.labels == place, subject.probabilities[:, place]
        areas = (
            (curve.area, roc_auc_score(positive, chance)),
            (curve.average_precision, average_precision_score(positive, chance)),
        )
        for score, oracle in areas:
            assert score.value == pytest.approx(oracle)
            assert score.interval is not None
            assert score.interval.low < oracle < score.interval.high
        assert curve.prevalence == 0.25


def test_a_class_that_no_scan_has_has_no_curve() -> None:
    assert [curve.name for curve in trace_curves(judged(np.arange(30) % 3))] == [
        "glioma",
        "meningioma",
        "no_tumor",
    ]


def test_a_set_of_one_class_has_no_curve_at_all() -> None:
    assert trace_curves(judged(np.zeros(12, int))) == ()


def test_curves_tell_themselves_in_plain_types() -> None:
    told = trace_curves(judged(np.arange(40) % 4))[0].to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["roc"]["true_positive_rate"][-1] == 1.0
