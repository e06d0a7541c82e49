"""How far off the bins of a reliability diagram may be, and with them the largest gap."""

from __future__ import annotations

from brainslice.arrays import Groups, Labels, Probabilities
from brainslice.metrics.calibration import BINS, bin_by_confidence, confidence_bins
from brainslice.metrics.intervals.asymptotic import LEVEL, Interval, clustered_wilson


def accuracy_in_bins(
    probabilities: Probabilities, labels: Labels, groups: Groups, bins: int = BINS, level: float = LEVEL
) -> tuple[Interval | None, ...]:
    """Bound the accuracy in each confidence bin; None where a bin is empty.

    Args:
        probabilities: ``(n, k)``, rows that sum to one.
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        bins: How many bins of equal width.
        level: How often each interval by itself is to hold the truth.
    """
    right = probabilities.argmax(axis=1) == labels
    places = confidence_bins(probabilities.max(axis=1), bins)
    found = (places == place for place in range(bins))
    return tuple(clustered_wilson(right[inside], groups[inside], level) if inside.any() else None for inside in found)


def maximum_gap(
    probabilities: Probabilities, labels: Labels, groups: Groups, bins: int = BINS, level: float = LEVEL
) -> Interval:
    """Bound the maximum calibration error by bounding the gaps of all bins that hold a scan at once.

    Few scans decide the largest gap, and no resampling covers it; this interval does, by sharing the
    chance of error among the bins, and is wide where a bin is thin.

    Args:
        probabilities: ``(n, k)``, rows that sum to one.
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        bins: How many bins of equal width.
        level: How often the interval is to hold the truth.

    Reference:
        Dunn, Multiple Comparisons among Means, JASA 1961, for sharing the error.
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
