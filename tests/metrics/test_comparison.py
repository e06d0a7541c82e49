from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2
from sklearn.metrics import accuracy_score

from brainslice.labels import LabelSet
from brainslice.metrics.bootstrap import resample
from brainslice.metrics.comparison import BaselineComparison, compare_with_baseline, format_p_value, mcnemar
from brainslice.metrics.scoring import ScoringInputs


def verdicts(first: int, second: int, both: int = 50) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([True] * first + [False] * second + [True] * both),
        np.array([False] * first + [True] * second + [True] * both),
    )


@given(st.integers(0, 12), st.integers(0, 13))
def test_few_disagreements_are_tested_exactly(first: int, second: int) -> None:
    found = mcnemar(*verdicts(first, second))
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(expected)
    assert found.method == "exact binomial"
    assert (found.only_first, found.only_second) == (first, second)


@given(st.integers(26, 200), st.integers(0, 200))
def test_many_disagreements_are_tested_by_corrected_chi_squared(first: int, second: int) -> None:
    found = mcnemar(*verdicts(first, second))
    assert found.p_value == pytest.approx(chi2.sf(max(abs(first - second) - 1, 0) ** 2 / (first + second), 1))
    assert "continuity correction" in found.method


def test_the_approximation_comes_close_to_the_exact_test() -> None:
    assert mcnemar(*verdicts(60, 40)).p_value == pytest.approx(binomtest(60, 100).pvalue, abs=0.005)


def test_the_order_of_the_models_does_not_matter() -> None:
    first, second = verdicts(30, 12)
    groups = np.arange(len(first)) // 3
    there, back = mcnemar(first, second, groups), mcnemar(second, first, groups)
    assert (there.p_value, there.p_value_by_group) == (back.p_value, back.p_value_by_group)


def test_scans_without_groups_have_no_p_value_by_group() -> None:
    assert mcnemar(*verdicts(30, 12)).p_value_by_group is None


def test_groups_of_one_give_the_uncorrected_test() -> None:
    first, second = verdicts(40, 20)
    found = mcnemar(first, second, np.arange(len(first)))
    assert found.p_value_by_group == pytest.approx(chi2.sf(20**2 / 60, 1))


def test_repeated_scans_do_not_change_the_test_by_group() -> None:
    first, second = (np.repeat(model, 20) for model in verdicts(12, 8))
    found = mcnemar(first, second, np.repeat(np.arange(70), 20))
    assert found.p_value < 0.001
    assert found.p_value_by_group == pytest.approx(chi2.sf(4**2 / 20, 1))


def test_equal_predictions_have_p_value_one() -> None:
    same = np.array([True, False, True])
    found = mcnemar(same, same, np.arange(3))
    assert found.p_value == 1.0
    assert found.p_value_by_group is None


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "p < 0.001"), (0.0009, "p < 0.001"), (0.0314, "p = 0.031"), (1.0, "p = 1.000")]
)
def test_format_p_value(value: float, words: str) -> None:
    assert format_p_value(value) == words


def judged(skill: float, seed: int) -> ScoringInputs:
    rng = np.random.default_rng(seed)
    labels, groups = np.arange(160) % 4, np.arange(160) // 5
    probabilities = rng.dirichlet(np.ones(4), size=160) * (1 - skill) + skill * np.eye(4)[labels]
    return ScoringInputs(labels, probabilities, groups, LabelSet(), resample(groups, 0, draws=100))


def compared() -> BaselineComparison:
    return compare_with_baseline(judged(0.6, 1), judged(0.1, 2), 0.5)


def test_baseline_has_decision_and_tumour_scores() -> None:
    names = [score.name for score in compared().scores]
    assert names == ["accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "sensitivity", "specificity"]
    floor = judged(0.1, 2)
    called = floor.probabilities.argmax(axis=1)
    assert (compared().predictions == called).all()
    assert compared().scores[0].value == pytest.approx(accuracy_score(floor.labels, called))


def test_baseline_comparison_by_scan_and_by_group() -> None:
    model, floor = judged(0.6, 1), judged(0.1, 2)
    right = [judgement.probabilities.argmax(axis=1) == judgement.labels for judgement in (model, floor)]
    assert compared().test == mcnemar(right[0], right[1], model.groups)
    assert compared().test.only_first > compared().test.only_second


def test_baseline_comparison_summary() -> None:
    told = compared().to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["mcnemar"]["only_model_right"] == compared().test.only_first
    first, second = compared().summary_lines()
    assert "grey levels only" in first
    assert "p < 0.001" in second
    assert "by group" in second
