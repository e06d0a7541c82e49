"""How sure a model may say it is: one temperature that makes its probabilities honest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.arrays import Labels, Logits, Probabilities, Scores
from brainslice.errors import CalibrationError

_TINY_STEP = 1e-9
_REMEDY = "calibrate on more held-out scans, or keep the probabilities as they are (temperature 1)"


COLDEST: Final = 0.05
HOTTEST: Final = 20.0
"""The range of temperatures that a bundle may store; others come from faulty logits or a tampered file."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """What logits are divided by before the softmax.

    Attributes:
        value: Above 0 and finite; 1 changes nothing, more than 1 makes a model less sure of itself.
    """

    value: float

    def __post_init__(self) -> None:
        """Refuse temperatures that turn no logits into probabilities."""
        if not (math.isfinite(self.value) and self.value > 0):
            msg = f"temperature must be a finite number above 0, got {self.value!r}"
            raise CalibrationError(msg)

    def probabilities(self, logits: Logits) -> Probabilities:
        """Turn logits into probabilities, in double precision and without overflow.

        Args:
            logits: Raw scores ``(n, k)``, finite.

        Returns:
            Probabilities ``(n, k)`` in the order of the logits; every row sums to one.

        Raises:
            CalibrationError: A logit is NaN or infinite.
        """
        return _softmax(_margins(logits) / self.value)


def fit_temperature(logits: Logits, labels: Labels) -> Temperature:
    """Find the temperature under which the true labels are most likely.

    The loss is convex in the inverse temperature, and its slope is the gap between the logit the
    model expects and the logit of the true class: halve the interval in which that gap changes sign.

    Args:
        logits: Raw scores ``(n, k)`` of held-out scans; training scans would flatter the model.
        labels: The true classes ``(n,)``, each in ``[0, k)``.

    Returns:
        The optimum, to within one part in a million.

    Raises:
        CalibrationError: The gap keeps its sign: every held-out scan is judged rightly, so that no
            confidence would be too high, or the scores know no more than a guess. Also where the
            labels do not belong to the logits.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    _refuse_strangers(logits, labels)
    margins = _margins(logits)
    true = margins[np.arange(len(labels)), labels]
    if not np.any(true < 0):
        msg = f"every one of {len(labels)} held-out scans is judged rightly, so no temperature fits; {_REMEDY}"
        raise CalibrationError(msg)
    if _gap(margins, true, 0.0) >= 0:
        msg = f"the scores of {len(labels)} held-out scans are no better than a guess; {_REMEDY}"
        raise CalibrationError(msg)
    # In units of the largest margin no usable inverse temperature overflows.
    scale = float(-margins.min())
    return Temperature(scale / _sign_change(margins / scale, true / scale))


def _sign_change(margins: Logits, true: Scores) -> float:
    """Find the inverse temperature at which the gap is zero; it rises from below 0 to above 0."""
    low, high = 0.5, 1.0
    while _gap(margins, true, low) > 0:
        low, high = low / 2, low
    while _gap(margins, true, high) < 0:
        low, high = high, high * 2
    while high - low > _TINY_STEP * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _gap(margins, true, middle) < 0 else (low, middle)
    return (low + high) / 2


def _gap(margins: Logits, true: Scores, inverse: float) -> float:
    """Average the expected logit minus the true one: the slope of the loss at an inverse temperature."""
    expected = (_softmax(margins * inverse) * margins).sum(axis=1)
    return float(np.mean(expected - true))


def _margins(logits: Logits) -> Logits:
    """Subtract each row's largest logit, which changes no probability and keeps exp below one."""
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


def _refuse_strangers(logits: Logits, labels: Labels) -> None:
    if len(labels) == 0:
        msg = "a temperature needs at least one held-out scan with its label, got none"
        raise CalibrationError(msg)
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        msg = f"labels must lie in 0 to {logits.shape[1] - 1}, got {labels.min()} to {labels.max()}"
        raise CalibrationError(msg)
