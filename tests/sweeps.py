"""Results of a robustness sweep without a network."""

from __future__ import annotations

import numpy as np

from brainslice.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from brainslice.evaluation.labelled_scans import LabelledScans
from brainslice.evaluation.robustness import Condition, Robustness
from brainslice.labels import LabelSet
from brainslice.metrics.intervals import Interval
from brainslice.metrics.scoring import Score
from brainslice.scan.types import Slice

N = 40


def score(name: str, value: float) -> Score:
    interval = None if name == "accuracy_change" and not value else Interval(value - 0.05, value + 0.05, 0.95, "drawn")
    return Score(name, value, interval, N, N // 2)


def scores(severity: int) -> tuple[Score, ...]:
    values = {"accuracy": 0.9 - 0.1 * severity, "accuracy_change": -0.1 * severity, "ece": 0.1 + 0.05 * severity}
    values |= {"referred": 0.1 + 0.1 * severity, "unfit": 0.1 * severity, "accuracy_answered": 0.9}
    return tuple(score(name, round(value, 6)) for name, value in values.items())


def read_nothing(number: int) -> Slice:
    raise AssertionError(number)


def sweep(warnings: tuple[str, ...] = ("phantom",)) -> Robustness:
    """Results that fall with each severity by a tenth."""
    numbers = np.arange(N)
    scans = LabelledScans(
        name="drawn",
        protocol="clean",
        label_set=LabelSet(),
        labels=numbers % 4,
        groups=numbers // 2,
        digests=("00",) * N,
        read=read_nothing,
        total=2 * N,
    )
    steps = [(each, severity) for each in CORRUPTIONS for severity in range(1, SEVERITIES + 1)]
    return Robustness(
        bundle=("drawn", "0" * 64),
        warnings=warnings,
        scans=scans,
        plain=Condition(None, 0, scores(0)),
        conditions=tuple(Condition(each, severity, scores(severity)) for each, severity in steps),
        seed=42,
        bins=15,
        level=0.95,
        test_accesses=2,
    )
