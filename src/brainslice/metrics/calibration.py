"""Calibration errors, reliability diagram, Brier score and negative log-likelihood.

In all functions ``probabilities`` are ``(n, k)``, rows that sum to one, ``labels`` are the true classes ``(n,)``, and
``bins`` is the number of confidence bins of equal width.

Reference:
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2;
    Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from brainslice.array_types import Float, Int
from brainslice.arrays import Groups, Labels, Probabilities, Scores
from brainslice.errors import UsageError
from brainslice.metrics.intervals import LEVEL, Interval, clustered_wilson

BINS = 15
"""The default number of bins of a calibration error."""

PerBin: TypeAlias = Float[np.ndarray, " bins"]
"""One real number for each bin."""

_SUM_TOLERANCE = 1e-4
_MIN_PROBABILITY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Scans binned by the confidence of the predicted class, in bins of equal width over 0 to 1.

    Attributes:
        counts: Scans in each bin ``(bins,)``.
        correct: Correct predictions in each bin.
        confidence: The sum of the confidences in each bin.
    """

    counts: Int[np.ndarray, " bins"]
    correct: Int[np.ndarray, " bins"]
    confidence: PerBin

    @property
    def gaps(self) -> PerBin:
        """Accuracy minus mean confidence of each bin; 0 for an empty bin."""
        gaps: PerBin = (self.correct - self.confidence) / np.maximum(self.counts, 1)
        return gaps

    @property
    def shares(self) -> PerBin:
        """The share of all scans in each bin."""
        shares: PerBin = self.counts / max(int(self.counts.sum()), 1)
        return shares


def confidence_bins(confidence: Scores, bins: int) -> Int[np.ndarray, " n"]:
    """Return the bin of each confidence: ``[0, 1/bins)`` is the first, and exactly 1 is in the last."""
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def bin_by_confidence(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Bins:
    """Bin scans by the confidence of the predicted class."""
    _check(probabilities, labels, bins)
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    indices = confidence_bins(confidence, bins)
    return Bins(
        counts=np.bincount(indices, minlength=bins),
        correct=np.bincount(indices[correct], minlength=bins),
        confidence=np.bincount(indices, weights=confidence, minlength=bins),
    )


def expected_calibration_error(binned: Bins) -> float:
    """Average the gap between accuracy and confidence over bins, weighted by the number of scans."""
    return float((binned.shares * np.abs(binned.gaps)).sum())


def maximum_calibration_error(binned: Bins) -> float:
    """Return the largest gap between accuracy and confidence among the bins."""
    return float(np.abs(binned.gaps).max())


def classwise_calibration_error(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> float:
    """Average over classes the calibration error of each class's probability.

    Raises:
        UsageError: The rows are no probabilities, there is no scan, or no bin.

    Reference:
        Kull et al., Beyond Temperature Scaling, NeurIPS 2019, equation 3.
    """
    _check(probabilities, labels, bins)
    gaps = classwise_gaps(probabilities, labels, bins).mean(axis=0)
    return float(np.abs(gaps).sum() / probabilities.shape[1])


def confidence_gaps(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Float[np.ndarray, "n bins"]:
    """Return each scan's correctness (0 or 1) minus its confidence, in the column of its bin.

    The absolute means over scans sum to the expected calibration error.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    cells = np.zeros((len(labels), bins))
    cells[np.arange(len(labels)), confidence_bins(confidence, bins)] = correct - confidence
    return cells


def classwise_gaps(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Float[np.ndarray, "n cells"]:
    """Return each scan's truth (0 or 1) minus probability for each class, in the column of its class and bin.

    Returns:
        ``(n, k * bins)``, mostly zeros; the mean over scans is the gap of each cell, weighted by its share of scans.
    """
    count, classes = probabilities.shape
    values = probabilities.astype(np.float64)
    cells = np.zeros((count, classes, bins))
    indices = np.minimum((values * bins).astype(np.int64), bins - 1)
    np.put_along_axis(cells, indices[:, :, None], (np.eye(classes)[labels] - values)[:, :, None], axis=2)
    return cells.reshape(count, classes * bins)


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """Average over scans minus the logarithm of the true class's probability, in nats.

    A probability of zero counts as the smallest normal double, so that the mean stays finite.

    Raises:
        UsageError: The rows are no probabilities, or there is no scan.
    """
    _check(probabilities, labels)
    return float(log_losses(probabilities, labels).mean())


def squared_errors(probabilities: Probabilities, labels: Labels) -> Scores:
    """Return each scan's part ``(n,)`` of the Brier score."""
    truth = np.eye(probabilities.shape[1])[labels]
    errors: Scores = ((probabilities.astype(np.float64) - truth) ** 2).sum(axis=1)
    return errors


def log_losses(probabilities: Probabilities, labels: Labels) -> Scores:
    """Return each scan's part ``(n,)`` of the negative log-likelihood."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses: Scores = -np.log(np.maximum(true, _MIN_PROBABILITY))
    return losses


def accuracy_in_bins(
    probabilities: Probabilities, labels: Labels, groups: Groups, bins: int = BINS, level: float = LEVEL
) -> tuple[Interval | None, ...]:
    """Compute the interval by group of the accuracy in each confidence bin; None for an empty bin."""
    correct = probabilities.argmax(axis=1) == labels
    indices = confidence_bins(probabilities.max(axis=1), bins)
    masks = (indices == index for index in range(bins))
    return tuple(clustered_wilson(correct[mask], groups[mask], level) if mask.any() else None for mask in masks)


def maximum_gap(
    probabilities: Probabilities, labels: Labels, groups: Groups, bins: int = BINS, level: float = LEVEL
) -> Interval:
    """Compute an interval of the maximum calibration error from simultaneous intervals of all bins.

    The bootstrap does not cover a maximum over bins of few scans; this interval does (Bonferroni), and is wide where
    a bin holds few scans.

    Reference:
        Dunn, Multiple Comparisons among Means, JASA 1961.
    """
    binned = bin_by_confidence(probabilities, labels, bins)
    filled = int((binned.counts > 0).sum())
    intervals = accuracy_in_bins(probabilities, labels, groups, bins, 1 - (1 - level) / filled)
    low, high = 0.0, 0.0
    for count, total, interval in zip(binned.counts, binned.confidence, intervals, strict=True):
        if interval is not None:
            mean = float(total / count)
            low = max(low, interval.low - mean, mean - interval.high)
            high = max(high, interval.high - mean, mean - interval.low)
    return Interval(low, high, level, f"Wilson in {filled} bins at once (Bonferroni)")


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The numbers of a reliability diagram.

    Attributes:
        bins: Scans by confidence.
        accuracy: The interval of each bin's accuracy; None for an empty bin.
    """

    bins: Bins
    accuracy: tuple[Interval | None, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the bins as plain types; accuracy and confidence of an empty bin are None."""
        counts = self.bins.counts.tolist()
        confidence, accuracy = (
            [total / count if count else None for total, count in zip(sums.tolist(), counts, strict=True)]
            for sums in (self.bins.confidence, self.bins.correct)
        )
        return {
            "counts": counts,
            "confidence": confidence,
            "accuracy": accuracy,
            "accuracy_intervals": [interval and interval.to_json() for interval in self.accuracy],
        }


def reliability_diagram(
    probabilities: Probabilities, labels: Labels, groups: Groups, bins: int = BINS, level: float = LEVEL
) -> Reliability:
    """Bin scans by confidence, with an interval by group of each bin's accuracy."""
    intervals = accuracy_in_bins(probabilities, labels, groups, bins, level)
    return Reliability(bin_by_confidence(probabilities, labels, bins), intervals)


def _check(probabilities: Probabilities, labels: Labels, bins: int = 1) -> None:
    if bins < 1:
        msg = f"the number of bins must be 1 or more, got {bins}"
        raise UsageError(msg)
    if len(labels) == 0:
        msg = "calibration needs at least one scan, got none"
        raise UsageError(msg)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not (probabilities.min() >= 0 and np.abs(sums - 1).max() <= _SUM_TOLERANCE):
        msg = f"rows of probabilities must be 0 or more and sum to 1, got sums {sums.min()} to {sums.max()}"
        raise UsageError(msg)
