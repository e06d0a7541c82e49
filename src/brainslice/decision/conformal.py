"""Prediction sets that hold the true class as often as promised, for scans of every class by itself.

A scan whose class is hard to tell gets a set of several classes, instead of one class and false confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float

from brainslice.arrays import Groups, Labels, Probabilities, Scores
from brainslice.errors import CalibrationError

# Shares that are sums of many equal parts may miss their bound by a rounding, and then ask for one scan more.
_ROUNDING = 1e-12


class SetMethod(StrEnum):
    """How far from certain a class is.

    LAC: one minus its probability; the smallest sets.
    APS: the probability of all classes up to it, the likeliest first; sets that grow where a scan is hard.
    """

    LAC = "lac"
    APS = "aps"


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """What turns probabilities into sets of classes that remain possible.

    Attributes:
        method: How far from certain a class is.
        coverage: How often the set of a scan holds its true class, whatever class that is.
        quantiles: For each class the score up to which it is in the set; infinite where it always is.
        counts: How many held-out scans of each class there were.
        groups: From how many groups, such as patients, those scans came; as many as scans where they were
            taken as independent.
    """

    method: SetMethod
    coverage: float
    quantiles: tuple[float, ...]
    counts: tuple[int, ...]
    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse numbers that promise nothing."""
        refuse_coverage(self.coverage)
        if not len(self.quantiles) == len(self.counts) == len(self.groups):
            numbers = (len(self.quantiles), len(self.counts), len(self.groups))
            msg = f"quantiles, counts and groups must be one for each class, got {numbers}"
            raise CalibrationError(msg)
        if any(math.isnan(quantile) or quantile < 0 for quantile in self.quantiles):
            msg = f"quantiles must be at least 0, got {self.quantiles}"
            raise CalibrationError(msg)

    def sets(self, probabilities: Probabilities) -> Bool[np.ndarray, "n k"]:
        """Say which classes remain possible.

        Args:
            probabilities: Calibrated as those that the sets were fitted on ``(n, k)``.

        Returns:
            Whether each class is in the set of each scan ``(n, k)``; a row may be empty, or full.
        """
        return np.asarray(class_scores(probabilities, self.method) <= np.array(self.quantiles))

    @property
    def unbounded(self) -> tuple[int, ...]:
        """The classes that are in every set, as too few groups of them were held out."""
        return tuple(place for place, quantile in enumerate(self.quantiles) if math.isinf(quantile))


def fit_conformal(
    probabilities: Probabilities,
    labels: Labels,
    coverage: float = 0.9,
    method: SetMethod = SetMethod.LAC,
    groups: Groups | None = None,
) -> ConformalSets:
    """Find for each class the score that scans of that class stay below as often as promised.

    Of ``n`` held-out scans of a class it is the ``ceil((n + 1) * coverage)``-th smallest score; where ``n`` is too
    small for that, it is infinite. The promise holds for a new scan that is exchangeable with the held-out ones,
    averaged over them. Scans of one patient are not exchangeable with those of another: with ``groups`` every group
    weighs the same however many scans it has, and the promise is for a scan drawn from a new group.

    Args:
        probabilities: Calibrated, of held-out scans ``(n, k)``.
        labels: The true classes ``(n,)``.
        coverage: The promise, between 0 and 1.
        method: How far from certain a class is.
        groups: The group of each scan ``(n,)``; None takes scans as independent.

    Raises:
        CalibrationError: The coverage lies not between 0 and 1, or there is a label without a probability.

    Reference:
        Sadinle et al., Least Ambiguous Set-Valued Classifiers, JASA 2019 (LAC); Romano et al., Classification with
        Valid and Adaptive Coverage, NeurIPS 2020 (APS, here without its random draw); Vovk, Conditional Validity of
        Inductive Conformal Predictors, ACML 2012 (by class); Lee et al., Distribution-Free Inference with
        Hierarchical Data, 2023 (by group).
    """
    refuse_coverage(coverage)
    classes = probabilities.shape[1]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        msg = f"labels must lie in 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
        raise CalibrationError(msg)
    members = np.arange(len(labels)) if groups is None else groups
    scores = class_scores(probabilities, method)
    mine = [labels == place for place in range(classes)]
    return ConformalSets(
        method=method,
        coverage=coverage,
        quantiles=tuple(_quantile(scores[own, place], members[own], coverage) for place, own in enumerate(mine)),
        counts=tuple(int(own.sum()) for own in mine),
        groups=tuple(len(np.unique(members[own])) for own in mine),
    )


def class_scores(probabilities: Probabilities, method: SetMethod) -> Float[np.ndarray, "n k"]:
    """Say how far from certain each class is: 0 where it has all probability, at most 1.

    Args:
        probabilities: ``(n, k)``.
        method: What is measured.
    """
    if method is SetMethod.LAC:
        return np.asarray(1.0 - probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    reached = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    scores = np.empty_like(reached)
    np.put_along_axis(scores, order, reached, axis=1)
    return np.asarray(np.minimum(scores, 1.0))


def refuse_coverage(coverage: float) -> None:
    """Let only promises pass that can be kept and mean something.

    Raises:
        CalibrationError: The coverage does not lie between 0 and 1.
    """
    if not 0.0 < coverage < 1.0:
        msg = f"coverage must lie between 0 and 1, got {coverage!r}; 0.9 is usual"
        raise CalibrationError(msg)


def _quantile(scores: Scores, members: Groups, coverage: float) -> float:
    """Find the smallest score that has enough weight at or below it, where one group's weight lies at infinity."""
    _, places, sizes = np.unique(members, return_inverse=True, return_counts=True)
    weights = 1.0 / ((len(sizes) + 1) * sizes[places]) if len(sizes) else np.zeros(0)
    order = np.argsort(scores, kind="stable")
    enough = np.cumsum(weights[order]) >= coverage - _ROUNDING
    return float(scores[order][enough.argmax()]) if enough.any() else math.inf
