"""Conformal prediction sets with class-conditional coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from brainslice.array_types import Bool, Float
from brainslice.arrays import Groups, Labels, Probabilities, Scores
from brainslice.errors import CalibrationError

# Tolerance for rounding of sums of many equal weights.
_ROUNDING = 1e-12


class SetMethod(StrEnum):
    """The nonconformity score of a class.

    LAC: one minus its probability; the smallest sets.
    APS: the cumulative probability down to it in falling order; larger sets for difficult scans.
    """

    LAC = "lac"
    APS = "aps"


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """Fitted prediction sets.

    Attributes:
        method: The nonconformity score.
        coverage: The nominal coverage of every class.
        quantiles: For each class the highest score at which it is in the set; infinite if it always is.
        counts: The number of held-out scans of each class.
        groups: The number of groups of those scans; equal to ``counts`` if taken as independent.
    """

    method: SetMethod
    coverage: float
    quantiles: tuple[float, ...]
    counts: tuple[int, ...]
    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_coverage(self.coverage)
        if not len(self.quantiles) == len(self.counts) == len(self.groups):
            numbers = (len(self.quantiles), len(self.counts), len(self.groups))
            msg = f"quantiles, counts and groups must be one for each class, got {numbers}"
            raise CalibrationError(msg)
        if any(math.isnan(quantile) or quantile < 0 for quantile in self.quantiles):
            msg = f"quantiles must be at least 0, got {self.quantiles}"
            raise CalibrationError(msg)

    def sets(self, probabilities: Probabilities) -> Bool[np.ndarray, "n k"]:
        """Return whether each class is in the set of each scan ``(n, k)``, from probabilities ``(n, k)``.

        The probabilities must be calibrated like those fitted on; a set may be empty, or full.
        """
        return np.asarray(class_scores(probabilities, self.method) <= np.array(self.quantiles))

    @property
    def unbounded(self) -> tuple[int, ...]:
        """Indices of classes that are in every set for lack of held-out groups."""
        return tuple(index for index, quantile in enumerate(self.quantiles) if math.isinf(quantile))


def fit_conformal(
    probabilities: Probabilities,
    labels: Labels,
    coverage: float = 0.9,
    method: SetMethod = SetMethod.LAC,
    groups: Groups | None = None,
) -> ConformalSets:
    """Compute the conformal quantile of each class.

    It is the ``ceil((n + 1) * coverage)``-th smallest score of ``n`` held-out scans of the class, infinite if ``n`` is
    too small. Coverage is marginal over held-out scans and a new, exchangeable scan. Scans of one patient are not
    exchangeable with those of another: with ``groups`` every group has equal weight, and coverage is that of a scan
    drawn from a new group.

    Args:
        probabilities: Calibrated, of held-out scans ``(n, k)``.
        labels: The true classes ``(n,)``.
        coverage: The nominal coverage, between 0 and 1.
        method: The nonconformity score.
        groups: The group of each scan ``(n,)``; None takes scans as independent.

    Raises:
        CalibrationError: The coverage does not lie between 0 and 1, or a label is out of range.

    Reference:
        Sadinle et al., Least Ambiguous Set-Valued Classifiers, JASA 2019 (LAC); Romano et al., Classification with
        Valid and Adaptive Coverage, NeurIPS 2020 (APS, here without its random draw); Vovk, Conditional Validity of
        Inductive Conformal Predictors, ACML 2012 (by class); Lee et al., Distribution-Free Inference with
        Hierarchical Data, 2023 (by group).
    """
    _check_coverage(coverage)
    classes = probabilities.shape[1]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        msg = f"labels must lie in 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
        raise CalibrationError(msg)
    members = np.arange(len(labels)) if groups is None else groups
    scores = class_scores(probabilities, method)
    masks = [labels == index for index in range(classes)]
    return ConformalSets(
        method=method,
        coverage=coverage,
        quantiles=tuple(_quantile(scores[mask, index], members[mask], coverage) for index, mask in enumerate(masks)),
        counts=tuple(int(mask.sum()) for mask in masks),
        groups=tuple(len(np.unique(members[mask])) for mask in masks),
    )


def class_scores(probabilities: Probabilities, method: SetMethod) -> Float[np.ndarray, "n k"]:
    """Compute nonconformity scores ``(n, k)``, from 0 to 1."""
    if method is SetMethod.LAC:
        return np.asarray(1.0 - probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    cumulative = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    scores = np.empty_like(cumulative)
    np.put_along_axis(scores, order, cumulative, axis=1)
    return np.asarray(np.minimum(scores, 1.0))


def _check_coverage(coverage: float) -> None:
    if not 0.0 < coverage < 1.0:
        msg = f"coverage must lie between 0 and 1, got {coverage!r}; 0.9 is usual"
        raise CalibrationError(msg)


def _quantile(scores: Scores, members: Groups, coverage: float) -> float:
    """Return the weighted quantile of the scores, with the weight of a new group at infinity."""
    _, members, sizes = np.unique(members, return_inverse=True, return_counts=True)
    weights = 1.0 / ((len(sizes) + 1) * sizes[members]) if len(sizes) else np.zeros(0)
    order = np.argsort(scores, kind="stable")
    enough = np.cumsum(weights[order]) >= coverage - _ROUNDING
    return float(scores[order][enough.argmax()]) if enough.any() else math.inf
