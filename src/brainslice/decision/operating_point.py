"""A threshold and what it promises: the values that a bundle stores beside its model."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brainslice.errors import UsageError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


class Criterion(StrEnum):
    """What a threshold is chosen for."""

    SENSITIVITY = "target sensitivity"
    SPECIFICITY = "target specificity"
    YOUDEN = "youden"
    COST = "cost ratio"
    NET_BENEFIT = "net benefit"


TARGETS: Final = (Criterion.SENSITIVITY, Criterion.SPECIFICITY)
"""The criteria that name a rate to be reached, and so can be promised."""


class Unit(StrEnum):
    """What a guarantee counts, one score for each group of related scans."""

    SCAN = "scan"
    """One scan drawn from each group: the promise is about a scan of a new patient, each patient counting alike."""
    GROUP = "group"
    """The worst scan of each group: the promise is about patients of whom every scan is called rightly."""


class MeasuredOn(StrEnum):
    """Which scans the rates of an operating point were counted on."""

    TUNING = "tuning"
    """The scans that chose the threshold: the rates flatter it."""
    HELD_OUT = "held out"
    """Scans of other groups, looked at afterwards."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a threshold is to reach.

    Attributes:
        criterion: What it is chosen for.
        value: The rate to reach, the ratio of costs, or the threshold probability; None for Youden's index.
    """

    criterion: Criterion
    value: float | None = None

    def __post_init__(self) -> None:
        """Refuse goals that no threshold can have."""
        if self.criterion is Criterion.YOUDEN:
            if self.value is not None:
                msg = f"Youden's index takes no value, got {self.value!r}"
                raise UsageError(msg)
            return
        most = math.inf if self.criterion is Criterion.COST else 1.0
        if self.value is None or not 0.0 < self.value < most:
            wanted = "above 0 and finite" if self.criterion is Criterion.COST else "above 0 and below 1"
            msg = f"{self.criterion.value} must be {wanted}, got {self.value!r}"
            raise UsageError(msg)

    @property
    def name(self) -> str:
        """A short name, such as ``sensitivity-0.95``."""
        short = self.criterion.value.removeprefix("target ").replace(" ", "-")
        return short if self.value is None else f"{short}-{self.value:g}"

    @property
    def description(self) -> str:
        """Say what the threshold was chosen for."""
        value = 0.0 if self.value is None else self.value
        return {
            Criterion.SENSITIVITY: f"at least {value:.3g} of tumour scans called tumours",
            Criterion.SPECIFICITY: f"at least {value:.3g} of healthy scans called healthy",
            Criterion.YOUDEN: "sensitivity plus specificity as large as possible",
            Criterion.COST: f"least cost where a missed tumour costs {value:g} times a false alarm",
            Criterion.NET_BENEFIT: f"largest net benefit for who acts from a probability of {value:g} on",
        }[self.criterion]


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """A share of scans, with an exact interval.

    Attributes:
        value: The share, 0 to 1.
        low: The lower end of its interval.
        high: The upper end.
        level: How often such an interval holds the truth.
        n: Scans.
        groups: Groups of related scans they come from.
        method: How the interval was found, in words.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    groups: int
    method: str

    def __post_init__(self) -> None:
        """Refuse what is no share within its interval."""
        if not 0.0 <= self.low <= self.value <= self.high <= 1.0:
            msg = (
                f"a rate must lie within its interval and both in 0 to 1, got {self.value} in {self.low} to {self.high}"
            )
            raise UsageError(msg)

    @property
    def text(self) -> str:
        """Spell the rate to three digits."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A promise that holds whatever the distribution of scores, if new groups are like those counted.

    Attributes:
        confidence: The probability, over the choice of tuning scans, that the promised rate is reached.
        unit: What was counted, one score a group.
        units: How many groups that was.
        rank: Which of their scores, from the worst, the threshold stands at.
        seed: What the scan of each group was drawn with.
    """

    confidence: float
    unit: Unit
    units: int
    rank: int
    seed: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on P(tumour), and what is known of it.

    Attributes:
        name: What it is called on the command line.
        threshold: The probability of any tumour from which a scan is called one.
        criterion: What it was chosen for.
        value: The rate to reach, the ratio of costs, or the threshold probability; None for Youden's index.
        prevalence: The share of tumours that costs and benefits were weighed at; None where it does not matter.
        promise: What it was chosen for, in words, and with what guarantee.
        sensitivity: Share of tumour scans called tumours.
        specificity: Share of healthy scans called healthy.
        n: Scans these rates were counted on.
        groups: Groups they come from.
        measured_on: Whether these are the scans that chose the threshold.
        tuned_on: Which scans chose the threshold, in words.
        guarantee: The finite-sample guarantee; None where there is none.
    """

    name: str
    threshold: float
    criterion: Criterion
    value: float | None
    prevalence: float | None
    promise: str
    sensitivity: MeasuredRate
    specificity: MeasuredRate
    n: int
    groups: int
    measured_on: MeasuredOn
    tuned_on: str
    guarantee: Guarantee | None = None

    def __post_init__(self) -> None:
        """Refuse names nobody can type and thresholds that are no probability."""
        if not _NAME.fullmatch(self.name):
            msg = f"an operating point's name must be small letters, digits, dots and dashes, got {self.name!r}"
            raise UsageError(msg)
        if not 0.0 <= self.threshold <= 1.0:
            msg = f"threshold must be a probability from 0 to 1, got {self.threshold!r}"
            raise UsageError(msg)

    @property
    def summary(self) -> str:
        """Say in a line what it is and what was counted at it."""
        counted = f"{self.measured_on.value} scans, n = {self.n} of {self.groups} groups"
        return (
            f"{self.name}: P(tumour) >= {self.threshold:.4g}; sensitivity {self.sensitivity.text}, "
            f"specificity {self.specificity.text} ({counted})"
        )


def find_point(points: tuple[OperatingPoint, ...], name: str) -> OperatingPoint:
    """Find an operating point by its name.

    Raises:
        UsageError: There is none of that name.
    """
    for point in points:
        if point.name == name:
            return point
    known = ", ".join(point.name for point in points) or "none yet; find some with brainslice threshold"
    msg = f"operating point must be one that the bundle holds, got {name!r}; it holds {known}"
    raise UsageError(msg)
