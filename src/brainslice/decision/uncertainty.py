"""Uncertainty of predictions: entropy, mutual information of ensemble members or dropout draws, and triage by it."""

from __future__ import annotations

import math

import numpy as np

from brainslice.array_types import Float
from brainslice.arrays import Decisions, Labels, MemberProbabilities, Probabilities, Scores
from brainslice.errors import UsageError

_SUM_TOLERANCE = 1e-6
# A tenth of thirty scans is three, despite rounding of 0.1.
_ROUNDING = 1e-9


def predictive_entropy(probabilities: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n"]:
    """Compute ``-Σ p log p`` of each row in nats: 0 for a certain class, ``log k`` for a uniform row.

    Raises:
        UsageError: A row is no distribution.

    Reference:
        Shannon, A Mathematical Theory of Communication, 1948.
    """
    valid = bool(probabilities.size) and np.isfinite(probabilities).all() and probabilities.min() >= 0
    if not valid or np.abs(probabilities.sum(axis=-1) - 1.0).max() > _SUM_TOLERANCE:
        msg = "probabilities must be at least 0 and sum to 1 in every row, got others; apply a softmax first"
        raise UsageError(msg)
    values = probabilities.astype(np.float64)
    terms = np.zeros_like(values)
    np.log(values, out=terms, where=values > 0)
    # The maximum also turns -0.0 into 0.0.
    return np.asarray(np.maximum(-(values * terms).sum(axis=-1), 0.0))


def mutual_information(members: MemberProbabilities) -> Scores:
    """Compute the epistemic part of the entropy: entropy of the mean minus mean entropy of the members.

    Args:
        members: Class probabilities of each ensemble member, or dropout draw ``(n, m, k)``.

    Returns:
        A value for each scan ``(n,)``, in nats, from 0 to the smaller of ``log k`` and ``log m``.

    Raises:
        UsageError: A row is no distribution.

    Reference:
        Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011, equation 2.
    """
    conditional = predictive_entropy(members).mean(axis=1)
    # Rounding can make the difference of two equal numbers negative.
    return np.asarray(np.maximum(predictive_entropy(members.mean(axis=1)) - conditional, 0.0))


def uncertainty_scores(probabilities: Probabilities, ood_scores: Scores | None = None) -> Scores:
    """Compute one uncertainty for each scan, for ordering a worklist.

    One minus the margin between the two highest probabilities, times the out-of-distribution score. For a score above
    its limit the probabilities mean nothing, and the score itself is the uncertainty.

    Args:
        probabilities: Calibrated ``(n, k)``.
        ood_scores: Out-of-distribution scores, 1 at the limit ``(n,)``; None without a detector.

    Returns:
        From 0 to 1 for scans in distribution, above 1 for others ``(n,)``.
    """
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    closeness = 1.0 - (first - second)
    if ood_scores is None:
        return np.asarray(closeness)
    return np.asarray(np.where(ood_scores > 1, ood_scores, closeness * ood_scores))


def most_uncertain_first(uncertainty: Scores) -> Labels:
    """Return the indices of the scans ``(n,)`` in falling order of uncertainty; ties keep their order."""
    return np.argsort(-uncertainty, kind="stable")


def for_review(uncertainty: Scores, budget: float) -> Decisions:
    """Select the scans of highest uncertainty for review.

    Args:
        uncertainty: The uncertainty of each scan ``(n,)``.
        budget: The share of scans to review, 0 to 1, rounded up.

    Returns:
        Whether each scan is among the ``ceil(budget * n)`` of highest uncertainty ``(n,)``.

    Raises:
        UsageError: The budget is not within 0 to 1.
    """
    if not 0.0 <= budget <= 1.0:
        msg = f"review budget must be a share from 0 to 1, got {budget!r}; 0.1 sends every tenth scan to review"
        raise UsageError(msg)
    count = math.ceil(budget * len(uncertainty) - _ROUNDING)
    return np.isin(np.arange(len(uncertainty)), most_uncertain_first(uncertainty)[:count])
