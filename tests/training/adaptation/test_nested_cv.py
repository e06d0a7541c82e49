from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from brainslice.training.adaptation.nested_cv import (
    SelectionCriteria,
    Setting,
    SettingScores,
    SiteLabels,
    choose,
    nested_cross_validation,
    tune,
)

HEALTHY = 2
GOOD, POOR = Setting(0.1, 0), Setting(0.1, 1)
CRITERIA = SelectionCriteria(specificity=0.9, min_source_score=0.9)


def make_labels(n: int, seed: int = 0) -> SiteLabels:
    tumours = np.random.default_rng(seed).random(n) < 0.6
    tumours[:2] = True, False
    return SiteLabels(tumours, np.arange(n), HEALTHY)


def logits_of(labels: SiteLabels, strength: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels.tumours), 4))
    logits[:, HEALTHY] -= strength * (labels.tumours - 0.5)
    return logits


class RecordingScorer:
    """A scorer that logs its calls."""

    def __init__(self, labels: SiteLabels) -> None:
        self.labels = labels
        self.asked: list[tuple[set[int], set[int], Setting | None]] = []

    def __call__(self, rows: np.ndarray, watched: np.ndarray, only: Setting | None) -> Mapping[Setting, SettingScores]:
        self.asked.append((set(rows.tolist()), set(watched.tolist()), only))
        assert not set(rows.tolist()) & set(watched.tolist())
        found = {}
        for setting, strength in ((GOOD, 3.0), (POOR, 0.2)):
            found[setting] = SettingScores(logits_of(self.labels, strength)[watched], 0.95)
        return found


def test_no_scan_is_predicted_by_a_model_trained_or_tuned_on_it() -> None:
    labels, folds = make_labels(40), np.arange(40) % 4
    scorer = RecordingScorer(labels)
    found = nested_cross_validation(scorer, folds, labels, CRITERIA)
    pairs = [each for each in scorer.asked if each[2] is None]
    outer = [each for each in scorer.asked if each[2] is not None]
    assert (len(pairs), len(outer)) == (6, 4)
    for rows, watched, _ in pairs:
        assert {fold for fold in range(4) if set(np.flatnonzero(folds == fold)) <= watched} == set(
            folds[sorted(watched)].tolist()
        )
        assert len(rows) + len(watched) == 40
    assert set.union(*(watched for _, watched, _ in outer)) == set(range(40))
    assert set(found.settings) == {GOOD}
    assert found.final == GOOD
    assert len(found.source_scores) == 4


def test_predictions_are_in_the_order_of_the_scans() -> None:
    labels, folds = make_labels(30), np.random.default_rng(3).permutation(np.arange(30) % 3)
    found = nested_cross_validation(RecordingScorer(labels), folds, labels, CRITERIA)
    assert found.logits == pytest.approx(logits_of(labels, 3.0))
    assert found.predictions.shape == found.probabilities.shape == (30,)


def test_predictions_do_not_depend_on_labels_of_their_own_fold() -> None:
    """Invert the labels of one fold: its predictions stay the same."""
    labels, folds = make_labels(40), np.arange(40) % 4
    mine = folds == 0
    other = SiteLabels(labels.tumours ^ mine, labels.groups, HEALTHY)

    def scorer(_: np.ndarray, watched: np.ndarray, __: Setting | None) -> Mapping[Setting, SettingScores]:
        return {
            setting: SettingScores(logits_of(labels, strength)[watched], 1.0)
            for setting, strength in ((GOOD, 2), (POOR, 0.1))
        }

    one, two = (
        nested_cross_validation(scorer, folds, labels, CRITERIA),
        nested_cross_validation(scorer, folds, other, CRITERIA),
    )
    assert np.array_equal(one.probabilities[mine], two.probabilities[mine])
    assert np.array_equal(one.predictions[mine], two.predictions[mine])
    assert not np.array_equal(one.probabilities[~mine], two.probabilities[~mine])


def test_settings_that_forget_are_excluded_unless_all_do() -> None:
    labels = make_labels(40)

    def candidates(good: float, poor: float) -> list[Mapping[Setting, SettingScores]]:
        return [{GOOD: SettingScores(logits_of(labels, 3.0), good), POOR: SettingScores(logits_of(labels, 0.2), poor)}]

    assert choose(candidates(0.95, 0.95), labels, CRITERIA)[0] == GOOD
    assert choose(candidates(0.85, 0.95), labels, CRITERIA)[0] == POOR
    assert choose(candidates(0.80, 0.85), labels, CRITERIA)[0] == POOR
    assert choose(candidates(0.85, 0.80), labels, CRITERIA)[0] == GOOD


def test_threshold_reaches_the_specificity_on_tuning_scans() -> None:
    labels = make_labels(200)
    logits = logits_of(labels, 1.5)
    tuned = tune(logits, labels, 0.9)
    probabilities = 1 - (
        np.exp(logits / tuned.temperature.value)[:, HEALTHY] / np.exp(logits / tuned.temperature.value).sum(1)
    )
    assert 0.9 <= (probabilities[~labels.tumours] < tuned.threshold).mean() < 0.93


def test_temperature_is_one_where_none_fits() -> None:
    labels = SiteLabels(np.array([True, False]), np.arange(2), HEALTHY)
    logits = np.array([[9.0, 0, 0, 0], [0.0, 0, 9, 0]])
    assert tune(logits, labels, 0.5).temperature.value == 1
