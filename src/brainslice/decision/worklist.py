"""Who looks at which scan: a worklist with the most doubtful scans first, and a share of it for a person."""

from __future__ import annotations

import math

import numpy as np

from brainslice.arrays import Decisions, Labels, Probabilities, Scores
from brainslice.errors import UsageError

# So that a tenth of thirty scans is three, however 0.1 is rounded.
_ROUNDING = 1e-9


def doubt_scores(probabilities: Probabilities, strangeness: Scores | None = None) -> Scores:
    """Say how doubtful each answer is.

    The second likeliest class's probability as it nears the likeliest one's, times how strange the scan is. A scan
    beyond the limit of the gate is more doubtful than any within, whatever its probabilities: they mean nothing there.

    Args:
        probabilities: Calibrated ``(n, k)``.
        strangeness: How unlike the training scans each scan is, 1 at the limit ``(n,)``; None where nothing tells.

    Returns:
        From 0 to 1 for usual scans, above 1 for strange ones ``(n,)``.
    """
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    undecided = 1.0 - (first - second)
    if strangeness is None:
        return np.asarray(undecided)
    return np.asarray(np.where(strangeness > 1, strangeness, undecided * strangeness))


def most_doubtful_first(doubtful: Scores) -> Labels:
    """Order a worklist; equal doubts keep their order.

    Args:
        doubtful: How doubtful each answer is ``(n,)``.

    Returns:
        The places of the scans ``(n,)``, the most doubtful first.
    """
    return np.argsort(-doubtful, kind="stable")


def for_review(doubtful: Scores, budget: float) -> Decisions:
    """Mark the scans that a person shall look at.

    Args:
        doubtful: How doubtful each answer is ``(n,)``.
        budget: The share of scans that a person has time for, 0 to 1; begun scans are finished.

    Returns:
        Whether each scan is among the most doubtful ``ceil(budget * n)`` ``(n,)``.

    Raises:
        UsageError: The budget is no share.
    """
    if not 0.0 <= budget <= 1.0:
        msg = f"review budget must be a share from 0 to 1, got {budget!r}; 0.1 sends every tenth scan to a person"
        raise UsageError(msg)
    count = math.ceil(budget * len(doubtful) - _ROUNDING)
    marked = np.zeros(len(doubtful), dtype=bool)
    marked[most_doubtful_first(doubtful)[:count]] = True
    return marked
