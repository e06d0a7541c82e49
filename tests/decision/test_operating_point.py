from __future__ import annotations

from dataclasses import replace

import pytest

from brainslice.decision.operating_point import Criterion, MeasuredOn, MeasuredRate, OperatingPoint, Target, find_point
from brainslice.errors import UsageError

RATE = MeasuredRate(0.9, 0.8, 0.95, 0.95, 40, 12, "counted")
POINT = OperatingPoint(
    name="sensitivity-0.95",
    threshold=0.25,
    criterion=Criterion.SENSITIVITY,
    value=0.95,
    prevalence=None,
    promise="at least 0.95 of tumour scans called tumours",
    sensitivity=RATE,
    specificity=RATE,
    n=80,
    groups=24,
    measured_on=MeasuredOn.TUNING,
    tuned_on="validation scans",
)


@pytest.mark.parametrize(
    ("goal", "name"),
    [
        (Target(Criterion.SENSITIVITY, 0.95), "sensitivity-0.95"),
        (Target(Criterion.SPECIFICITY, 0.9), "specificity-0.9"),
        (Target(Criterion.YOUDEN), "youden"),
        (Target(Criterion.COST, 5.0), "cost-ratio-5"),
        (Target(Criterion.NET_BENEFIT, 0.1), "net-benefit-0.1"),
    ],
)
def test_names_of_targets(goal: Target, name: str) -> None:
    assert goal.name == name
    assert replace(POINT, name=name).name == name
    assert goal.description


@pytest.mark.parametrize("value", [None, 0.0, 1.0, float("nan")])
def test_a_rate_out_of_range_is_refused(value: float | None) -> None:
    with pytest.raises(UsageError, match="target sensitivity must be above 0 and below 1"):
        Target(Criterion.SENSITIVITY, value)


def test_cost_ratio_may_exceed_one() -> None:
    assert Target(Criterion.COST, 20.0).value == 20.0
    with pytest.raises(UsageError, match="finite"):
        Target(Criterion.COST, float("inf"))


def test_youden_takes_no_value() -> None:
    with pytest.raises(UsageError, match="takes no value"):
        Target(Criterion.YOUDEN, 0.5)


@pytest.mark.parametrize("name", ["", "Ward 3", "-x", "a/b", "x" * 61])
def test_invalid_names_raise(name: str) -> None:
    with pytest.raises(UsageError, match="small letters"):
        replace(POINT, name=name)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_must_be_a_probability(threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold must be a probability"):
        replace(POINT, threshold=threshold)


def test_a_rate_lies_within_its_interval() -> None:
    with pytest.raises(UsageError, match="within its interval"):
        replace(RATE, low=0.91)


def test_find_point() -> None:
    other = replace(POINT, name="youden")
    assert find_point((POINT, other), "youden") is other
    with pytest.raises(UsageError, match=r"got 'ward'; it holds sensitivity-0.95, youden"):
        find_point((POINT, other), "ward")
    with pytest.raises(UsageError, match="brainslice threshold"):
        find_point((), "ward")


def test_summary_names_the_measured_scans() -> None:
    assert "tuning scans, n = 80 of 24 groups" in POINT.summary
    assert "0.900 [0.800, 0.950]" in POINT.summary
