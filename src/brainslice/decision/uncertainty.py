"""How sure, and why not: what the members of an ensemble, or draws of dropout, say between them."""

from __future__ import annotations

import numpy as np

from brainslice.arrays import MemberProbabilities, Probabilities, Scores
from brainslice.errors import UsageError

_ROUNDING = 1e-6


def predictive_entropy(probabilities: Probabilities) -> Scores:
    """Measure how undecided each answer is, whatever the reason.

    Args:
        probabilities: Class probabilities ``(n, k)``.

    Returns:
        ``-Σ p log p`` of each row ``(n,)``, in nats: 0 where one class is certain, ``log k`` where all are alike.

    Raises:
        UsageError: A row is no distribution.

    Reference:
        Shannon, A Mathematical Theory of Communication, 1948.
    """
    _refuse_no_distribution(probabilities)
    return _entropy(probabilities)


def mutual_information(members: MemberProbabilities) -> Scores:
    """Measure how much of the indecision comes from the members' contradicting each other.

    It is the entropy of the members' mean less the mean of their entropies: what knowing the right network would tell
    about the class. Scans that are truly between two classes have much entropy and little of this.

    Args:
        members: Class probabilities of each member, or draw ``(n, m, k)``.

    Returns:
        One number a scan ``(n,)``, in nats, from 0 to the smaller of ``log k`` and ``log m``.

    Raises:
        UsageError: A row is no distribution.

    Reference:
        Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011, equation 2.
    """
    _refuse_no_distribution(members)
    gap = _entropy(members.mean(axis=1)) - _entropy(members).mean(axis=1)
    # Members that agree leave a difference of two equal numbers, which rounding can make negative.
    found: Scores = np.maximum(gap, 0.0)
    return found


def disagreement(members: MemberProbabilities) -> Scores:
    """Tell the share of members that call another class than most of them do.

    Args:
        members: Class probabilities of each member, or draw ``(n, m, k)``.

    Returns:
        One share a scan ``(n,)``: 0 where all call the same class, below 1 always.

    Raises:
        UsageError: A row is no distribution.

    Reference:
        The variation ratio of Freeman, Elementary Applied Statistics, 1965.
    """
    _refuse_no_distribution(members)
    classes = members.shape[-1]
    votes = (members.argmax(axis=-1)[..., np.newaxis] == np.arange(classes)).mean(axis=1)
    apart: Scores = 1.0 - votes.max(axis=-1)
    return apart


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    wide = probabilities.astype(np.float64)
    terms = np.zeros_like(wide)
    np.log(wide, out=terms, where=wide > 0)
    # A certain class gives minus zero, which no reader should meet.
    return np.asarray(np.maximum(-(wide * terms).sum(axis=-1), 0.0))


def _refuse_no_distribution(probabilities: np.ndarray) -> None:
    whole = bool(probabilities.size) and np.isfinite(probabilities).all() and probabilities.min() >= 0
    if not whole or np.abs(probabilities.sum(axis=-1) - 1.0).max() > _ROUNDING:
        msg = "probabilities must be at least 0 and sum to 1 in every row, got others; apply a softmax first"
        raise UsageError(msg)
