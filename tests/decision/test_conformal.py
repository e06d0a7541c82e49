from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from brainslice.decision.conformal import ConformalSets, SetMethod, class_scores, fit_conformal
from brainslice.errors import CalibrationError

CLASSES = 4
METHODS = pytest.mark.parametrize("method", list(SetMethod))


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that mean what they say, and classes drawn from them."""
    logits = rng.normal(scale=2.0, size=(n, CLASSES))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return probabilities, np.minimum(labels, CLASSES - 1)


class Known(ClassifierMixin, BaseEstimator):
    """A classifier whose inputs are its probabilities."""

    classes_ = np.arange(CLASSES)
    __sklearn_is_fitted__ = staticmethod(lambda: True)

    def fit(self, _inputs: np.ndarray, _labels: np.ndarray) -> Known:
        return self

    def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
        return inputs

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return inputs.argmax(axis=1)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_lac_sets_equal_mapie_by_class(coverage: float) -> None:
    rng = np.random.default_rng(7)
    (held, labels), (fresh, _) = drawn(rng, 400), drawn(rng, 300)
    ours = fit_conformal(held, labels, coverage).sets(fresh)
    for place in range(CLASSES):
        # MAPIE wants scans of all classes: turning the classes of a scan round leaves its score as it was.
        own = np.flatnonzero(labels == place)
        turns = np.arange(len(own)) % CLASSES
        turned = np.stack([np.roll(row, turn) for row, turn in zip(held[own], turns, strict=True)])
        oracle = SplitConformalClassifier(Known(), confidence_level=coverage, conformity_score="lac", prefit=True)
        oracle.conformalize(turned, (place + turns) % CLASSES)
        _, theirs = oracle.predict_set(fresh)
        np.testing.assert_array_equal(ours[:, place], theirs[:, place, 0])


def slow_aps(row: np.ndarray, place: int) -> float:
    """Add probabilities from the likeliest class down to the one asked about."""
    total = 0.0
    for other in sorted(range(CLASSES), key=lambda name: -row[name]):
        total += row[other]
        if other == place:
            break
    return min(total, 1.0)


def test_aps_sets_equal_a_plain_implementation() -> None:
    # MAPIE draws at random within a class's share; ours must answer the same twice.
    rng = np.random.default_rng(9)
    (held, labels), (fresh, _) = drawn(rng, 200), drawn(rng, 100)
    ours = fit_conformal(held, labels, 0.9, SetMethod.APS).sets(fresh)
    for place in range(CLASSES):
        scores = sorted(slow_aps(row, place) for row in held[labels == place])
        limit = scores[math.ceil((len(scores) + 1) * 0.9 - 1e-9) - 1]
        assert ours[:, place].tolist() == [slow_aps(row, place) <= limit for row in fresh]


@given(st.integers(1, 60), st.floats(0.5, 0.99), st.integers(0, 2**16))
def test_quantile_has_the_finite_sample_rank(n: int, coverage: float, seed: int) -> None:
    probabilities, _ = drawn(np.random.default_rng(seed), n)
    fitted = fit_conformal(probabilities, np.zeros(n, dtype=np.int64), coverage)
    rank = math.ceil((n + 1) * coverage - 1e-9)
    expected = np.sort(1 - probabilities[:, 0])[rank - 1] if rank <= n else math.inf
    assert fitted.quantiles[0] == expected


@METHODS
def test_classes_with_too_few_scans_are_unbounded(method: SetMethod) -> None:
    probabilities, labels = drawn(np.random.default_rng(0), 300)
    few = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:8]])
    fitted = fit_conformal(probabilities[few], labels[few], 0.9, method)
    assert fitted.unbounded == (2,)
    assert fitted.counts[2] == 8
    assert fitted.sets(probabilities)[:, 2].all()
    nine = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:9]])
    assert fit_conformal(probabilities[nine], labels[nine], 0.9, method).unbounded == ()


def test_classes_without_scans_are_in_every_set() -> None:
    probabilities, labels = drawn(np.random.default_rng(1), 200)
    seen = labels != 1
    fitted = fit_conformal(probabilities[seen], labels[seen])
    assert fitted.unbounded == (1,)
    assert (fitted.counts[1], fitted.groups[1]) == (0, 0)


@given(st.integers(0, 2**16))
def test_sets_grow_with_coverage(seed: int) -> None:
    probabilities, labels = drawn(np.random.default_rng(seed), 120)
    for method in SetMethod:
        less, more = (fit_conformal(probabilities, labels, share, method).sets(probabilities) for share in (0.8, 0.95))
        assert not (less & ~more).any()


@given(st.integers(0, 2**16))
def test_sets_are_monotone_in_probability(seed: int) -> None:
    probabilities, _ = drawn(np.random.default_rng(seed), 40)
    for method in SetMethod:
        sets = ConformalSets(method, 0.9, (0.7,) * CLASSES, (50,) * CLASSES, (50,) * CLASSES).sets(probabilities)
        ordered = np.take_along_axis(sets, np.argsort(-probabilities, axis=1), axis=1)
        assert not (ordered[:, 1:] & ~ordered[:, :-1]).any()


def test_aps_scores_are_cumulative_probabilities() -> None:
    scores = class_scores(np.array([[0.1, 0.6, 0.25, 0.05], [1.0, 0.0, 0.0, 0.0]]), SetMethod.APS)
    np.testing.assert_allclose(scores, [[0.95, 0.6, 0.85, 1.0], [1.0, 1.0, 1.0, 1.0]])


@METHODS
def test_groups_of_one_scan_equal_independent_scans(method: SetMethod) -> None:
    probabilities, labels = drawn(np.random.default_rng(3), 200)
    alone = np.random.default_rng(4).permutation(200)
    assert fit_conformal(probabilities, labels, 0.9, method, alone) == fit_conformal(probabilities, labels, 0.9, method)


def test_copies_within_a_group_change_nothing() -> None:
    rng = np.random.default_rng(5)
    probabilities, labels = drawn(rng, 90)
    groups = rng.integers(0, 60, size=90)
    copied = np.concatenate([np.arange(90), *[np.flatnonzero(groups == 7)] * 5])
    once = fit_conformal(probabilities, labels, 0.8, groups=groups)
    often = fit_conformal(probabilities[copied], labels[copied], 0.8, groups=groups[copied])
    assert once.quantiles == often.quantiles
    assert once.groups == often.groups


def test_one_large_group_is_not_enough() -> None:
    probabilities, labels = drawn(np.random.default_rng(6), 400)
    fitted = fit_conformal(probabilities, labels, groups=np.zeros(400, dtype=np.int64))
    assert fitted.unbounded == tuple(range(CLASSES))


@METHODS
def test_sets_do_not_depend_on_the_order_of_scans(method: SetMethod) -> None:
    rng = np.random.default_rng(8)
    probabilities, labels = drawn(rng, 150)
    order = rng.permutation(150)
    assert fit_conformal(probabilities[order], labels[order], 0.9, method) == fit_conformal(
        probabilities, labels, 0.9, method
    )


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.5, math.nan])
def test_invalid_coverage_raises(coverage: float) -> None:
    with pytest.raises(CalibrationError, match="coverage must lie between 0 and 1"):
        fit_conformal(*drawn(np.random.default_rng(0), 10), coverage)


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_labels_out_of_range_raise(label: int) -> None:
    probabilities, labels = drawn(np.random.default_rng(0), 10)
    labels[3] = label
    with pytest.raises(CalibrationError, match="labels must lie in 0 to 3"):
        fit_conformal(probabilities, labels)


@pytest.mark.parametrize(
    ("quantiles", "counts"), [((0.5, 0.5), (9, 9, 9)), ((math.nan, 0.5), (9, 9)), ((-0.1, 0.5), (9, 9))]
)
def test_inconsistent_lengths_raise(quantiles: tuple[float, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(CalibrationError, match="quantiles"):
        ConformalSets(SetMethod.LAC, 0.9, quantiles, counts, counts)
