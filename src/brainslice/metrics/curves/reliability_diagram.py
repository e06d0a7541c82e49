"""The numbers of a reliability diagram: accuracy against confidence, bin by bin, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brainslice.metrics.calibration import BINS, Bins, bin_by_confidence
from brainslice.metrics.intervals.asymptotic import Interval
from brainslice.metrics.intervals.bins import accuracy_in_bins
from brainslice.metrics.scoring import ScoringInputs


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """A reliability diagram's numbers.

    Attributes:
        bins: Scans by confidence.
        accuracy: The interval of each bin's accuracy; None where the bin is empty.
    """

    bins: Bins
    accuracy: tuple[Interval | None, ...]

    def to_json(self) -> dict[str, Any]:
        """Write the bins in plain types; an empty bin has neither accuracy nor confidence."""
        counts = self.bins.counts.tolist()
        filled = [max(count, 1) for count in counts]
        means = zip(counts, self.bins.confidence.tolist(), self.bins.correct.tolist(), filled, strict=True)
        rows = [(sure / size, right / size) if count else (None, None) for count, sure, right, size in means]
        return {
            "counts": counts,
            "confidence": [confidence for confidence, _ in rows],
            "accuracy": [accuracy for _, accuracy in rows],
            "accuracy_intervals": [interval and interval.to_json() for interval in self.accuracy],
        }


def reliability_of(judged: ScoringInputs, bins: int = BINS) -> Reliability:
    """Sort scans by confidence and bound each bin's accuracy.

    Args:
        judged: The probabilities beside the truth.
        bins: How many bins of equal width.
    """
    said = (judged.probabilities, judged.labels)
    bounds = accuracy_in_bins(*said, judged.groups, bins, judged.resampling.level)
    return Reliability(bin_by_confidence(*said, bins), bounds)
