"""Operating points: thresholds with their targets, rates and guarantees, as a bundle stores them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brainslice.errors import UsageError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


class Criterion(StrEnum):
    """The criterion by which a threshold is chosen."""

    SENSITIVITY = "target sensitivity"
    SPECIFICITY = "target specificity"
    YOUDEN = "youden"
    COST = "cost ratio"
    NET_BENEFIT = "net benefit"


TARGETS: Final = (Criterion.SENSITIVITY, Criterion.SPECIFICITY)
"""The criteria with a target rate, which can be guaranteed."""


class Unit(StrEnum):
    """The unit of a guarantee: one score for each group of related scans."""

    SCAN = "scan"
    """One random scan of each group: the guarantee is on a scan of a new patient, all patients of equal weight."""
    GROUP = "group"
    """The worst scan of each group: the guarantee is on patients of whom every scan is classified correctly."""


class MeasuredOn(StrEnum):
    """The scans on which the rates of an operating point were measured."""

    TUNING = "tuning"
    """The scans that chose the threshold: the rates are optimistic."""
    HELD_OUT = "held out"
    """Scans of other groups."""


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a threshold search.

    Attributes:
        criterion: The criterion.
        value: The rate to reach, the ratio of costs, or the threshold probability; None for Youden's index.
    """

    criterion: Criterion
    value: float | None = None

    def __post_init__(self) -> None:
        if self.criterion is Criterion.YOUDEN:
            if self.value is not None:
                msg = f"Youden's index takes no value, got {self.value!r}"
                raise UsageError(msg)
            return
        limit = math.inf if self.criterion is Criterion.COST else 1.0
        if self.value is None or not 0.0 < self.value < limit:
            expected = "above 0 and finite" if self.criterion is Criterion.COST else "above 0 and below 1"
            msg = f"{self.criterion.value} must be {expected}, got {self.value!r}"
            raise UsageError(msg)

    @property
    def name(self) -> str:
        """A short name, such as ``sensitivity-0.95``."""
        short = self.criterion.value.removeprefix("target ").replace(" ", "-")
        return short if self.value is None else f"{short}-{self.value:g}"

    @property
    def description(self) -> str:
        """The target as text."""
        value = 0.0 if self.value is None else self.value
        return {
            Criterion.SENSITIVITY: f"at least {value:.3g} of tumour scans predicted as tumours",
            Criterion.SPECIFICITY: f"at least {value:.3g} of healthy scans predicted as healthy",
            Criterion.YOUDEN: "sensitivity plus specificity as large as possible",
            Criterion.COST: f"least cost where a missed tumour costs {value:g} times a false alarm",
            Criterion.NET_BENEFIT: f"largest net benefit at a threshold probability of {value:g}",
        }[self.criterion]


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """A share of scans, with an exact interval.

    Attributes:
        value: The share, 0 to 1.
        low: The lower end of its interval.
        high: The upper end.
        level: The confidence level.
        n: The number of scans.
        groups: The number of groups they come from.
        method: A description of the interval's method.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    groups: int
    method: str

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.value <= self.high <= 1.0:
            msg = (
                f"a rate must lie within its interval and both in 0 to 1, got {self.value} in {self.low} to {self.high}"
            )
            raise UsageError(msg)

    @property
    def text(self) -> str:
        """Rate and interval with three decimals."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A distribution-free guarantee for new groups exchangeable with the tuning groups.

    Attributes:
        confidence: The probability, over the tuning scans, that the target rate is reached.
        unit: How a group is reduced to one score.
        units: The number of groups.
        rank: The rank of the threshold among their scores, from the worst.
        seed: Seed of the random scan of each group.
    """

    confidence: float
    unit: Unit
    units: int
    rank: int
    seed: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on P(tumour) with target and measured rates.

    Attributes:
        name: Its name on the command line.
        threshold: P(tumour) from which a scan is predicted as a tumour.
        criterion: The criterion by which it was chosen.
        value: The rate to reach, the ratio of costs, or the threshold probability; None for Youden's index.
        prevalence: The share of tumours assumed for costs and benefits; None if it does not matter.
        promise: Target and guarantee as text.
        sensitivity: The share of tumour scans predicted as tumours.
        specificity: The share of healthy scans predicted as healthy.
        n: The number of scans these rates were measured on.
        groups: The number of groups they come from.
        measured_on: Whether these are the scans that chose the threshold.
        tuned_on: A description of the scans that chose the threshold.
        guarantee: The finite-sample guarantee, if any.
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
        if not _NAME.fullmatch(self.name):
            msg = f"an operating point's name must be small letters, digits, dots and dashes, got {self.name!r}"
            raise UsageError(msg)
        if not 0.0 <= self.threshold <= 1.0:
            msg = f"threshold must be a probability from 0 to 1, got {self.threshold!r}"
            raise UsageError(msg)

    @property
    def summary(self) -> str:
        """Name, threshold and rates in a line."""
        measured = f"{self.measured_on.value} scans, n = {self.n} of {self.groups} groups"
        return (
            f"{self.name}: P(tumour) >= {self.threshold:.4g}; sensitivity {self.sensitivity.text}, "
            f"specificity {self.specificity.text} ({measured})"
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
