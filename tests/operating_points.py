"""An example of an operating point."""

from __future__ import annotations

from dataclasses import replace

from brainslice.decision.operating_point import Criterion, Guarantee, MeasuredOn, MeasuredRate, OperatingPoint, Unit


def operating_point(name: str = "sensitivity-0.95", threshold: float = 0.25) -> OperatingPoint:
    """Make an operating point."""
    rate = MeasuredRate(0.9, 0.8, 0.95, 0.95, 40, 12, "counted")
    return OperatingPoint(
        name=name,
        threshold=threshold,
        criterion=Criterion.SENSITIVITY,
        value=0.95,
        prevalence=None,
        promise="at least 0.95 of tumour scans called tumours",
        sensitivity=rate,
        specificity=replace(rate, value=0.85),
        n=80,
        groups=24,
        measured_on=MeasuredOn.TUNING,
        tuned_on="validation scans",
        guarantee=Guarantee(0.9, Unit.SCAN, 60, 1, 7),
    )
