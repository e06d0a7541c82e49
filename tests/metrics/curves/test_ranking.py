from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from brainslice.errors import UsageError
from brainslice.metrics.curves.ranking import (
    area_under_roc,
    average_precision,
    average_precision_of_each,
    placements,
    precision_recall,
    rank_by_group,
    roc,
)

RANKINGS = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=2, max_size=50)
"""Few different scores, so that most rankings hold ties."""


def both_kinds(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    positive, scores = np.array([yes for yes, _ in rows]), np.array([score / 12 for _, score in rows])
    assume(positive.any() and not positive.all())
    return positive, scores


@given(RANKINGS)
def test_the_areas_are_scikit_learns_ties_included(rows: list[tuple[bool, int]]) -> None:
    positive, scores = both_kinds(rows)
    assert area_under_roc(positive, scores) == pytest.approx(roc_auc_score(positive, scores))
    assert average_precision(positive, scores) == pytest.approx(average_precision_score(positive, scores))


@given(RANKINGS)
def test_the_roc_curve_passes_where_scikit_learns_does(rows: list[tuple[bool, int]]) -> None:
    positive, scores = both_kinds(rows)
    found, (x, y, _) = roc(positive, scores), roc_curve(positive, scores, drop_intermediate=False)
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0, 0, 1, 1)
    assert {*zip(found.x, found.y, strict=True)} <= {*zip(x, y, strict=True)}
    assert np.trapezoid(found.y, found.x) == pytest.approx(roc_auc_score(positive, scores))


@given(RANKINGS)
def test_the_precision_recall_curve_passes_where_scikit_learns_does(rows: list[tuple[bool, int]]) -> None:
    positive, scores = both_kinds(rows)
    found, (precision, recall, _) = precision_recall(positive, scores), precision_recall_curve(positive, scores)
    points = {*zip(recall.round(12), precision.round(12), strict=True)}
    assert {*zip(found.x[1:].round(12), found.y[1:].round(12), strict=True)} <= points
    assert found.x[0] == 0
    assert found.x[-1] == 1


@given(RANKINGS)
def test_the_mean_placement_of_either_kind_is_the_area(rows: list[tuple[bool, int]]) -> None:
    positive, scores = both_kinds(rows)
    shares = placements(positive, scores)
    assert shares[positive].mean() == pytest.approx(shares[~positive].mean())


@given(RANKINGS, st.integers(0, 2**16))
def test_a_draw_of_groups_has_the_average_precision_of_its_scans(rows: list[tuple[bool, int]], seed: int) -> None:
    positive, scores = both_kinds(rows)
    rng = np.random.default_rng(seed)
    members = rng.permutation(np.arange(len(scores)) % 3)
    assume(len(np.unique(members)) == members.max() + 1)
    counts = rng.integers(0, 3, size=(4, members.max() + 1))
    found = average_precision_of_each(rank_by_group(positive, scores, members), counts)
    for draw, value in zip(counts, found, strict=True):
        repeated = np.repeat(np.arange(len(scores)), draw[members])
        if positive[repeated].any():
            oracle = average_precision_score(positive[repeated], scores[repeated])
            assert value == pytest.approx(oracle)
        else:
            assert np.isnan(value)


@pytest.mark.parametrize("measure", [roc, precision_recall, area_under_roc, average_precision])
@pytest.mark.parametrize("kind", [True, False])
def test_curve_of_one_class_raises(measure: object, kind: bool) -> None:  # noqa: FBT001 - the two kinds
    assert callable(measure)
    with pytest.raises(UsageError, match="positive and negative"):
        measure(np.full(3, kind), np.array([0.1, 0.2, 0.3]))
