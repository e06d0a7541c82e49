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
TERMS = SelectionCriteria(specificity=0.9, least_source_score=0.9)


def truth_of(n: int, seed: int = 0) -> SiteLabels:
    tumours = np.random.default_rng(seed).random(n) < 0.6
    tumours[:2] = True, False
    return SiteLabels(tumours, np.arange(n), HEALTHY)


def logits_of(truth: SiteLabels, strength: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(truth.tumours), 4))
    logits[:, HEALTHY] -= strength * (truth.tumours - 0.5)
    return logits


class Student:
    """Knows more of scans it was shown, so that whoever judges it by them is found out."""

    def __init__(self, truth: SiteLabels) -> None:
        self.truth = truth
        self.asked: list[tuple[set[int], set[int], Setting | None]] = []

    def __call__(self, rows: np.ndarray, watched: np.ndarray, only: Setting | None) -> Mapping[Setting, SettingScores]:
        self.asked.append((set(rows.tolist()), set(watched.tolist()), only))
        assert not set(rows.tolist()) & set(watched.tolist())
        found = {}
        for setting, strength in ((GOOD, 3.0), (POOR, 0.2)):
            found[setting] = SettingScores(logits_of(self.truth, strength)[watched], 0.95)
        return found


def test_no_scan_is_spoken_of_by_a_model_that_trained_on_it_or_tuned_by_it() -> None:
    truth, folds = truth_of(40), np.arange(40) % 4
    student = Student(truth)
    found = nested_cross_validation(student, folds, truth, TERMS)
    pairs = [each for each in student.asked if each[2] is None]
    outer = [each for each in student.asked if each[2] is not None]
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


def test_each_scan_gets_its_own_answer_back_in_order() -> None:
    truth, folds = truth_of(30), np.random.default_rng(3).permutation(np.arange(30) % 3)
    found = nested_cross_validation(Student(truth), folds, truth, TERMS)
    assert found.logits == pytest.approx(logits_of(truth, 3.0))
    assert found.predictions.shape == found.probabilities.shape == (30,)


def test_labels_of_a_fold_never_reach_its_own_threshold_or_temperature() -> None:
    """Turn the labels of one fold over: what is said of it stays as it was."""
    truth, folds = truth_of(40), np.arange(40) % 4
    mine = folds == 0
    other = SiteLabels(truth.tumours ^ mine, truth.groups, HEALTHY)

    def study(_: np.ndarray, watched: np.ndarray, __: Setting | None) -> Mapping[Setting, SettingScores]:
        return {
            setting: SettingScores(logits_of(truth, strength)[watched], 1.0)
            for setting, strength in ((GOOD, 2), (POOR, 0.1))
        }

    one, two = nested_cross_validation(study, folds, truth, TERMS), nested_cross_validation(study, folds, other, TERMS)
    assert np.array_equal(one.probabilities[mine], two.probabilities[mine])
    assert np.array_equal(one.predictions[mine], two.predictions[mine])
    assert not np.array_equal(one.probabilities[~mine], two.probabilities[~mine])


def test_a_setting_that_forgets_is_not_taken_unless_all_do() -> None:
    truth = truth_of(40)

    def heard(good: float, poor: float) -> list[Mapping[Setting, SettingScores]]:
        return [{GOOD: SettingScores(logits_of(truth, 3.0), good), POOR: SettingScores(logits_of(truth, 0.2), poor)}]

    assert choose(heard(0.95, 0.95), truth, TERMS)[0] == GOOD
    assert choose(heard(0.85, 0.95), truth, TERMS)[0] == POOR
    assert choose(heard(0.80, 0.85), truth, TERMS)[0] == POOR
    assert choose(heard(0.85, 0.80), truth, TERMS)[0] == GOOD


def test_the_threshold_reaches_the_specificity_on_the_tuning_scans() -> None:
    truth = truth_of(200)
    logits = logits_of(truth, 1.5)
    tuned = tune(logits, truth, 0.9)
    chances = 1 - (
        np.exp(logits / tuned.temperature.value)[:, HEALTHY] / np.exp(logits / tuned.temperature.value).sum(1)
    )
    assert 0.9 <= (chances[~truth.tumours] < tuned.threshold).mean() < 0.93


def test_where_no_temperature_fits_it_is_one() -> None:
    truth = SiteLabels(np.array([True, False]), np.arange(2), HEALTHY)
    logits = np.array([[9.0, 0, 0, 0], [0.0, 0, 9, 0]])
    assert tune(logits, truth, 0.5).temperature.value == 1
