"""What logits of held-out scans choose, and how the model did on them."""

from __future__ import annotations

from brainslice.arrays import Labels, Logits
from brainslice.bundle.types import Validation
from brainslice.config import CalibrationConfig
from brainslice.decision.temperature import COLDEST, HOTTEST, Temperature, fit_temperature
from brainslice.errors import CalibrationError
from brainslice.metrics.calibration import bin_by_confidence, expected_calibration_error, negative_log_likelihood


def calibrate(logits: Logits, labels: Labels, config: CalibrationConfig) -> tuple[Temperature, tuple[str, ...]]:
    """Fit a temperature, or say in a line why it is 1.

    Args:
        logits: Raw scores of held-out scans ``(n, k)``.
        labels: Their classes ``(n,)``.
        config: Whether one is wanted at all.
    """
    if not config.temperature:
        return Temperature(1.0), ("calibration.temperature is off: probabilities are as the network gives them",)
    try:
        found = fit_temperature(logits, labels)
    except CalibrationError as error:
        return Temperature(1.0), (f"no temperature could be fitted, 1 is used: {error}",)
    if COLDEST <= found.value <= HOTTEST:
        return found, ()
    bounded = Temperature(min(max(found.value, COLDEST), HOTTEST))
    why = f"the fitted temperature {found.value:.3g} is outside {COLDEST:g} to {HOTTEST:g}; {bounded.value:g} is used"
    return bounded, (why,)


def validation_of(logits: Logits, labels: Labels, temperature: Temperature, bins: int) -> Validation:
    """Sum up how a model did on the scans that chose its temperature.

    Args:
        logits: Raw scores ``(n, k)``; at least one scan.
        labels: The true classes ``(n,)``.
        temperature: What they chose.
        bins: How many confidence bins of equal width.
    """
    probabilities = temperature.probabilities(logits)
    return Validation(
        n=len(labels),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        nll=negative_log_likelihood(probabilities, labels),
        ece=expected_calibration_error(bin_by_confidence(probabilities, labels, bins)),
    )
