"""Calibration where a label allows several classes: tumour, but nobody says which."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool

from brainslice.arrays import Decisions, Logits, Scores
from brainslice.decision.temperature import Temperature
from brainslice.errors import CalibrationError

_COLDEST: Final = 0.05
_HOTTEST: Final = 20.0
_STEPS: Final = 121
_GOLDEN: Final = (5**0.5 - 1) / 2
_TINY: Final = 1e-6


def tumour_probabilities(logits: Logits, healthy: int, temperature: Temperature) -> Scores:
    """Give P(tumour) of each scan ``(n,)``: one minus the probability of the healthy class."""
    probabilities = temperature.probabilities(logits)
    return np.asarray(np.delete(probabilities, healthy, axis=1).sum(axis=1))


def marginal_losses(logits: Logits, allowed: Bool[np.ndarray, "n k"], temperature: Temperature) -> Scores:
    """Give the negative logarithm of the probability that each scan's label has, in nats ``(n,)``.

    Args:
        logits: Raw scores ``(n, k)``.
        allowed: The classes that each label leaves open; at least one a scan.
        temperature: What the logits are divided by.
    """
    scaled = logits.astype(np.float64) / temperature.value
    return np.asarray(_log_sum(scaled, np.ones_like(allowed)) - _log_sum(scaled, allowed))


def fit_marginal_temperature(logits: Logits, tumours: Decisions, healthy: int) -> Temperature:
    """Find the temperature under which the labels tumour and healthy are most likely, both kinds counting alike.

    With sets of classes the loss need not be convex: a grid finds the valley, halving by the golden section its floor.

    Args:
        logits: Raw scores ``(n, k)`` of scans that did not train the model.
        tumours: Whether each scan is a tumour ``(n,)``; some are and some are not.
        healthy: The place of the healthy class.

    Raises:
        CalibrationError: One of the two kinds is missing, or the loss falls to the end of the range: all scans are
            judged rightly, or the scores say nothing.
    """
    if tumours.all() or not tumours.any():
        msg = f"a temperature needs tumours and healthy scans, got {int(tumours.sum())} tumours of {len(tumours)}"
        raise CalibrationError(msg)
    allowed = np.zeros(logits.shape, dtype=np.bool_)
    allowed[:, healthy] = True
    allowed[tumours] ^= True
    weights = np.where(tumours, 0.5 / tumours.sum(), 0.5 / (~tumours).sum())

    def loss(logarithm: float) -> float:
        return float(weights @ marginal_losses(logits, allowed, Temperature(float(np.exp(logarithm)))))

    grid = np.linspace(np.log(_COLDEST), np.log(_HOTTEST), _STEPS)
    lowest = int(np.argmin([loss(point) for point in grid]))
    if lowest in {0, _STEPS - 1}:
        msg = f"no temperature of {_COLDEST:g} to {_HOTTEST:g} suits these {len(tumours)} scans best; keep the old one"
        raise CalibrationError(msg)
    low, high = float(grid[lowest - 1]), float(grid[lowest + 1])
    while high - low > _TINY:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return Temperature(float(np.exp((low + high) / 2)))


def _log_sum(logits: Logits, allowed: Bool[np.ndarray, "n k"]) -> Scores:
    kept = np.where(allowed, logits, -np.inf)
    top = kept.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(kept - top).sum(axis=1)) + top[:, 0])
