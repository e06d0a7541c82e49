from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainslice.metrics.scoring import Score
from brainslice.metrics.source_controlled import (
    ScoredSlices,
    ScoredTwins,
    area_within_patients,
    score_twins,
    slice_scores,
)


def slices_of(effect: float, patients: int = 30, each: int = 10, source: float = 0.0) -> ScoredSlices:
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(patients), each)
    tumour = rng.random(len(owners)) < owners / patients
    scores = rng.normal(size=len(owners)) + effect * tumour + source * owners
    return ScoredSlices(tumour, scores, scores > 0.5, owners)


def named(scores: tuple[Score, ...]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_a_model_that_recognises_the_source_only_is_at_chance_within_patients() -> None:
    found = named(slice_scores(slices_of(0.0, source=1.0)))
    overall, within = found["auc"], found["auc_within_patients"]
    assert overall.value is not None
    assert overall.value > 0.7
    assert within.interval is not None
    assert within.interval.low < 0.5 < within.interval.high


def test_the_area_within_patients_is_the_mean_over_patients_with_both_kinds() -> None:
    slices = slices_of(1.0)
    own = [slices.patients == patient for patient in range(30)]
    both = [kept for kept in own if 0 < slices.tumour[kept].sum() < kept.sum()]
    expected = np.mean([roc_auc_score(slices.tumour[kept], slices.scores[kept]) for kept in both])
    found = area_within_patients(slices)
    assert found.value == pytest.approx(expected)
    assert (found.groups, found.n) == (len(both), sum(kept.sum() for kept in both))


def test_the_fixed_threshold_reaches_its_sensitivity() -> None:
    slices = slices_of(1.0)
    value = named(slice_scores(slices))["specificity_at_sensitivity_85"].value
    reached = max(
        (slices.scores[~slices.tumour] < cut).mean()
        for cut in slices.scores[slices.tumour]
        if (slices.scores[slices.tumour] >= cut).mean() >= 0.85
    )
    assert value == pytest.approx(reached)


def test_slices_of_one_kind_leave_areas_undefined() -> None:
    slices = ScoredSlices(np.zeros(4, np.bool_), np.arange(4.0), np.ones(4, np.bool_), np.arange(4))
    found = named(slice_scores(slices))
    assert found["auc"].value is None
    assert found["auc_within_patients"].value is None
    assert found["specificity_at_sensitivity_85"].value is None
    assert found["specificity"].value == 0.0


def twins_of() -> ScoredTwins:
    return ScoredTwins(
        patients=np.array([0, 0, 1, 2]),
        scores=np.array([[0.0, 0.5], [1.0, 0.5], [2.0, 2.5], [3.0, 3.5]]),
        called=np.array([[False, True], [False, True], [True, True], [True, True]]),
        sham=np.array([1, 0, -1, 0]),
    )


def test_twins_are_compared_pair_by_pair() -> None:
    found = named(score_twins(twins_of()).scores)
    assert found["lesion_twin_scores_higher"].value == 0.75
    assert found["healthy_twin_specificity"].value == 0.5
    assert found["lesion_twin_sensitivity"].value == 1.0
    assert (found["lesion_twin_scores_higher"].n, found["lesion_twin_scores_higher"].groups) == (4, 3)
    assert found["twin_auc"].value == roc_auc_score([0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 3, 0.5, 0.5, 2.5, 3.5])
    assert (found["sham_changes_answer"].value, found["sham_changes_answer"].n) == (pytest.approx(1 / 3), 3)


def test_twins_without_shams_have_no_score_of_shams() -> None:
    bare = dataclasses.replace(twins_of(), sham=np.full(4, -1))
    assert "sham_changes_answer" not in named(score_twins(bare).scores)


def test_twins_of_several_folds_are_joined() -> None:
    joined = score_twins(ScoredTwins.join([twins_of(), twins_of()]))
    assert joined.counts == {"pairs": 8}
    assert joined.to_json()["scores"]["lesion_twin_scores_higher"]["value"] == 0.75
