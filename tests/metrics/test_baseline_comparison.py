from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from brainslice.labels import LabelSet
from brainslice.metrics.baseline_comparison import BaselineComparison, compare_with_baseline
from brainslice.metrics.comparison import mcnemar
from brainslice.metrics.intervals.bootstrap import resample
from brainslice.metrics.scoring import ScoringInputs


def judged(skill: float, seed: int) -> ScoringInputs:
    rng = np.random.default_rng(seed)
    labels, groups = np.arange(160) % 4, np.arange(160) // 5
    probabilities = rng.dirichlet(np.ones(4), size=160) * (1 - skill) + skill * np.eye(4)[labels]
    return ScoringInputs(labels, probabilities, groups, LabelSet(), resample(groups, 0, draws=100))


def compared() -> BaselineComparison:
    return compare_with_baseline(judged(0.6, 1), judged(0.1, 2), 0.5)


def test_the_floor_gets_the_decision_and_tumour_scores() -> None:
    names = [score.name for score in compared().scores]
    assert names == ["accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "sensitivity", "specificity"]
    floor = judged(0.1, 2)
    called = floor.probabilities.argmax(axis=1)
    assert (compared().predictions == called).all()
    assert compared().scores[0].value == pytest.approx(accuracy_score(floor.labels, called))


def test_the_model_is_tested_against_the_floor_scan_by_scan_and_group_by_group() -> None:
    model, floor = judged(0.6, 1), judged(0.1, 2)
    right = [judgement.probabilities.argmax(axis=1) == judgement.labels for judgement in (model, floor)]
    assert compared().test == mcnemar(right[0], right[1], model.groups)
    assert compared().test.only_first > compared().test.only_second


def test_what_is_told_names_who_was_right_alone() -> None:
    told = compared().to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["mcnemar"]["only_model_right"] == compared().test.only_first
    first, second = compared().summary_lines()
    assert "grey levels only" in first
    assert "p < 0.001" in second
    assert "by group" in second
