"""Whether probabilities mean what they say: calibration errors, Brier score and likelihood.

Reference:
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2;
    Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from brainslice.arrays import Labels, Probabilities, Scores
from brainslice.errors import UsageError

BINS = 15
"""How many bins of equal width a calibration error is measured in, unless told otherwise."""

PerBin: TypeAlias = Float[np.ndarray, " bins"]
"""One real number a bin."""

_SUM_TOLERANCE = 1e-4
_LEAST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Scans sorted by how sure the model is of the class it calls, into bins of equal width over 0 to 1.

    Attributes:
        counts: Scans in each bin ``(bins,)``.
        correct: How many of them are called rightly.
        confidence: The sum of their confidences.
    """

    counts: Int[np.ndarray, " bins"]
    correct: Int[np.ndarray, " bins"]
    confidence: PerBin

    @property
    def gaps(self) -> PerBin:
        """Accuracy minus mean confidence of each bin; 0 where a bin is empty."""
        filled = np.maximum(self.counts, 1)
        gaps: PerBin = (self.correct - self.confidence) / filled
        return gaps

    @property
    def shares(self) -> PerBin:
        """The share of all scans that each bin holds."""
        shares: PerBin = self.counts / max(int(self.counts.sum()), 1)
        return shares


def confidence_bins(confidence: Scores, bins: int) -> Int[np.ndarray, " n"]:
    """Find each confidence's bin: ``[0, 1/bins)`` is the first, and exactly 1 falls in the last."""
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def bin_by_confidence(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Bins:
    """Sort scans into bins by the confidence of the class that is called.

    Args:
        probabilities: ``(n, k)``, rows that sum to one.
        labels: True classes ``(n,)``.
        bins: How many bins of equal width.

    Raises:
        UsageError: The rows are no probabilities, there is no scan, or no bin.
    """
    _refuse_improper(probabilities, labels, bins)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    places = confidence_bins(confidence, bins)
    return Bins(
        counts=np.bincount(places, minlength=bins),
        correct=np.bincount(places[right], minlength=bins),
        confidence=np.bincount(places, weights=confidence, minlength=bins),
    )


def expected_calibration_error(binned: Bins) -> float:
    """Average the gap between accuracy and confidence over bins, each weighing as many scans as it holds."""
    return float((binned.shares * np.abs(binned.gaps)).sum())


def maximum_calibration_error(binned: Bins) -> float:
    """Give the largest gap between accuracy and confidence among the bins that hold a scan."""
    return float(np.abs(binned.gaps).max())


def classwise_calibration_error(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> float:
    """Average over classes the calibration error of each class's probability, called or not.

    Raises:
        UsageError: The rows are no probabilities, there is no scan, or no bin.

    Reference:
        Kull et al., Beyond Temperature Scaling, NeurIPS 2019, equation 3.
    """
    _refuse_improper(probabilities, labels, bins)
    gaps = classwise_gaps(probabilities, labels, bins).mean(axis=0)
    return float(np.abs(gaps).sum() / probabilities.shape[1])


def confidence_gaps(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Float[np.ndarray, "n bins"]:
    """Spread each scan's gap between right or wrong and its confidence over the confidence bins.

    Returns:
        ``(n, bins)``, zero outside the scan's own bin; the absolute means over scans add up to the
        expected calibration error.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    cells = np.zeros((len(labels), bins))
    cells[np.arange(len(labels)), confidence_bins(confidence, bins)] = right - confidence
    return cells


def classwise_gaps(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Float[np.ndarray, "n cells"]:
    """Spread each scan's gap between truth and probability over one cell for each class and bin.

    Returns:
        ``(n, k * bins)``, mostly zeros; the mean over scans is the signed gap of each cell, weighted
        by how many scans it holds.
    """
    count, classes = probabilities.shape
    chances = probabilities.astype(np.float64)
    truth = np.eye(classes)[labels]
    cells = np.zeros((count, classes, bins))
    places = np.minimum((chances * bins).astype(np.int64), bins - 1)
    np.put_along_axis(cells, places[:, :, None], (truth - chances)[:, :, None], axis=2)
    return cells.reshape(count, classes * bins)


def brier_score(probabilities: Probabilities, labels: Labels) -> float:
    """Average over scans the squared distance to the truth, summed over classes: 0 to 2, lower is better.

    Raises:
        UsageError: The rows are no probabilities, or there is no scan.
    """
    _refuse_improper(probabilities, labels)
    return float(squared_errors(probabilities, labels).mean())


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """Average over scans minus the logarithm of the true class's probability, in nats.

    A probability of exactly zero counts as the smallest normal double, so that the mean stays finite.

    Raises:
        UsageError: The rows are no probabilities, or there is no scan.
    """
    _refuse_improper(probabilities, labels)
    return float(log_losses(probabilities, labels).mean())


def squared_errors(probabilities: Probabilities, labels: Labels) -> Scores:
    """Give each scan's part ``(n,)`` of the Brier score."""
    truth = np.eye(probabilities.shape[1])[labels]
    errors: Scores = ((probabilities.astype(np.float64) - truth) ** 2).sum(axis=1)
    return errors


def log_losses(probabilities: Probabilities, labels: Labels) -> Scores:
    """Give each scan's part ``(n,)`` of the negative log-likelihood."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses: Scores = -np.log(np.maximum(true, _LEAST))
    return losses


def _refuse_improper(probabilities: Probabilities, labels: Labels, bins: int = 1) -> None:
    if bins < 1:
        msg = f"the number of bins must be 1 or more, got {bins}"
        raise UsageError(msg)
    if len(labels) == 0:
        msg = "probabilities can be judged on at least one scan, got none"
        raise UsageError(msg)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not (probabilities.min() >= 0 and np.abs(sums - 1).max() <= _SUM_TOLERANCE):
        msg = f"rows of probabilities must be 0 or more and sum to 1, got sums {sums.min()} to {sums.max()}"
        raise UsageError(msg)
