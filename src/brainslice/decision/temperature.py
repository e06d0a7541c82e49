"""Temperature scaling: calibration by one divisor of the logits, for full labels and for tumour-or-healthy labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.array_types import Bool
from brainslice.arrays import Decisions, Labels, Logits, Probabilities, Scores
from brainslice.errors import CalibrationError

MIN_TEMPERATURE: Final = 0.05
MAX_TEMPERATURE: Final = 20.0
"""The range of temperatures that a bundle may store; others come from faulty logits or a tampered file."""

_TOLERANCE: Final = 1e-9
_REMEDY: Final = "calibrate on more held-out scans, or keep the probabilities as they are (temperature 1)"
_GRID_POINTS: Final = 121
_GOLDEN: Final = (5**0.5 - 1) / 2
_LOG_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Temperature:
    """The divisor of logits before the softmax.

    Attributes:
        value: Above 0 and finite; 1 changes nothing, more than 1 lowers the confidence.
    """

    value: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            msg = f"temperature must be a finite number above 0, got {self.value!r}"
            raise CalibrationError(msg)

    def probabilities(self, logits: Logits) -> Probabilities:
        """Compute the softmax of scaled logits, in double precision and without overflow.

        Returns:
            Probabilities ``(n, k)`` in the order of the logits; every row sums to one.

        Raises:
            CalibrationError: A logit is NaN or infinite.
        """
        return _softmax(_margins(logits) / self.value)


def fit_temperature(logits: Logits, labels: Labels) -> Temperature:
    """Find the temperature of maximum likelihood.

    The loss is convex in the inverse temperature, and its slope is the expected logit minus that of the true class:
    bisect for the sign change of the slope.

    Args:
        logits: Raw scores ``(n, k)`` of held-out scans, not of training scans.
        labels: The true classes ``(n,)``, each in ``[0, k)``.

    Returns:
        The optimum, to within one part in a million.

    Raises:
        CalibrationError: There is no sign change: every held-out scan is classified correctly, or the scores are no
            better than chance. Also if the labels do not match the logits.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    if len(labels) == 0:
        msg = "a temperature needs at least one held-out scan with its label, got none"
        raise CalibrationError(msg)
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        msg = f"labels must lie in 0 to {logits.shape[1] - 1}, got {labels.min()} to {labels.max()}"
        raise CalibrationError(msg)
    margins = _margins(logits)
    true = margins[np.arange(len(labels)), labels]
    if not np.any(true < 0):
        msg = f"every one of {len(labels)} held-out scans is classified correctly, so no temperature fits; {_REMEDY}"
        raise CalibrationError(msg)
    if _slope(margins, true, 0.0) >= 0:
        msg = f"the scores of {len(labels)} held-out scans are no better than chance; {_REMEDY}"
        raise CalibrationError(msg)
    # In units of the largest margin no usable inverse temperature overflows.
    scale = float(-margins.min())
    return Temperature(scale / _sign_change(margins / scale, true / scale))


def _sign_change(margins: Logits, true: Scores) -> float:
    """Find the inverse temperature at which the rising slope is zero."""
    low, high = 0.5, 1.0
    while _slope(margins, true, low) > 0:
        low, high = low / 2, low
    while _slope(margins, true, high) < 0:
        low, high = high, high * 2
    while high - low > _TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(margins, true, middle) < 0 else (low, middle)
    return (low + high) / 2


def _slope(margins: Logits, true: Scores, inverse: float) -> float:
    """Average the expected logit minus the true one: the slope of the loss at an inverse temperature."""
    expected = (_softmax(margins * inverse) * margins).sum(axis=1)
    return float(np.mean(expected - true))


def _margins(logits: Logits) -> Logits:
    """Subtract each row's largest logit, which changes no probability and keeps exp at most one."""
    wide = logits.astype(np.float64)
    if not np.isfinite(wide).all():
        msg = "logits must be finite numbers, got NaN or infinity; the network has diverged, train it again"
        raise CalibrationError(msg)
    margins: Logits = wide - wide.max(axis=1, keepdims=True)
    return margins


def _softmax(margins: Logits) -> Probabilities:
    weights = np.exp(margins)
    probabilities: Probabilities = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


def tumour_probabilities(logits: Logits, healthy: int, temperature: Temperature) -> Scores:
    """Compute P(tumour) of each scan ``(n,)``: one minus the probability of the healthy class."""
    probabilities = temperature.probabilities(logits)
    return np.asarray(np.delete(probabilities, healthy, axis=1).sum(axis=1))


def marginal_losses(logits: Logits, allowed: Bool[np.ndarray, "n k"], temperature: Temperature) -> Scores:
    """Compute the negative log-likelihood of partial labels, in nats ``(n,)``.

    Args:
        logits: Raw scores ``(n, k)``.
        allowed: The classes that each label allows; at least one a scan.
        temperature: The divisor of the logits.
    """
    scaled = logits.astype(np.float64) / temperature.value
    return np.asarray(_log_sum(scaled) - _log_sum(np.where(allowed, scaled, -np.inf)))


def fit_marginal_temperature(logits: Logits, tumours: Decisions, healthy: int) -> Temperature:
    """Find the temperature of maximum likelihood of tumour-or-healthy labels, both classes of equal weight.

    For sets of classes the loss need not be convex: a grid brackets the minimum, golden-section search refines it.

    Args:
        logits: Raw scores ``(n, k)`` of held-out scans.
        tumours: Whether each scan is a tumour ``(n,)``; both classes must occur.
        healthy: The index of the healthy class.

    Raises:
        CalibrationError: One of the two classes is missing, or the minimum is at an end of the range, as if all scans
            are classified correctly or the scores are uninformative.
    """
    if tumours.all() or not tumours.any():
        msg = f"a temperature needs tumours and healthy scans, got {int(tumours.sum())} tumours of {len(tumours)}"
        raise CalibrationError(msg)
    allowed = np.zeros(logits.shape, dtype=np.bool_)
    allowed[:, healthy] = True
    allowed[tumours] ^= True
    weights = np.where(tumours, 0.5 / tumours.sum(), 0.5 / (~tumours).sum())
    scores = logits.astype(np.float64)
    permitted = np.where(allowed, scores, -np.inf)

    def loss(logarithm: float) -> float:
        # As in ``marginal_losses``, without what every step would repeat.
        temperature = np.exp(logarithm)
        return float(weights @ (_log_sum(scores / temperature) - _log_sum(permitted / temperature)))

    grid = np.linspace(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE), _GRID_POINTS)
    lowest = int(np.argmin([loss(point) for point in grid]))
    if lowest in {0, _GRID_POINTS - 1}:
        bounds = f"{MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
        msg = f"no temperature of {bounds} suits these {len(tumours)} scans best; keep the old one"
        raise CalibrationError(msg)
    low, high = float(grid[lowest - 1]), float(grid[lowest + 1])
    while high - low > _LOG_TOLERANCE:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return Temperature(float(np.exp((low + high) / 2)))


def _log_sum(logits: Logits) -> Scores:
    return np.asarray(np.logaddexp.reduce(logits, axis=1))
