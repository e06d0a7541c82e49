from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from brainslice.report.html.artefacts import read_run
from brainslice.report.html.verdict import verdict, weakest_source_controlled


@pytest.fixture
def report(complete: Path) -> dict[str, Any]:
    found = read_run(complete).report
    assert found is not None
    return copy.deepcopy(dict(found))


def keys(report: dict[str, Any]) -> list[str]:
    found: list[str] = []

    def text(key: str, **_: object) -> str:
        found.append(key)
        return key

    assert len(verdict(report, text)) == 5
    return found


def with_auc(report: dict[str, Any], low: float, value: float = 0.9) -> dict[str, Any]:
    score = {"value": value, "interval": {"low": low, "high": 0.99}, "n": 8, "groups": 2}
    tests = [{"name": name, "scores": {"auc_within_patients": score}, "counts": {}} for name in ("one", "two")]
    tests[1]["scores"] = {"auc": score | {"value": 0.95}}
    report["evaluation"]["source_controlled"] = tests
    return report


@pytest.mark.parametrize(("low", "grade"), [(0.8, "good"), (0.6, "weak"), (0.4, "chance")])
def test_the_source_controlled_test_comes_first_and_is_graded_by_its_lower_end(
    report: dict[str, Any], low: float, grade: str
) -> None:
    assert keys(with_auc(report, low))[0] == f"controlled_{grade}"
    weakest = weakest_source_controlled(report["evaluation"])
    assert weakest is not None
    assert weakest[0] == "one"


def test_without_a_source_controlled_test_nothing_is_claimed(report: dict[str, Any]) -> None:
    report["evaluation"]["source_controlled"] = []
    assert keys(report)[0] == "controlled_absent"


@pytest.mark.parametrize(
    ("p_value", "ours", "theirs", "key"),
    [
        (0.01, 0.9, 0.8, "baseline_beaten"),
        (0.5, 0.9, 0.8, "baseline_equal"),
        (None, 0.9, 0.8, "baseline_equal"),
        (0.01, 0.7, 0.8, "baseline_better"),
    ],
)
def test_the_baseline_is_beaten_only_where_the_test_by_group_shows_it(
    report: dict[str, Any], p_value: float | None, ours: float, theirs: float, key: str
) -> None:
    evaluation = report["evaluation"]
    evaluation["baseline"]["mcnemar"]["p_value_by_group"] = p_value
    evaluation["scores"]["accuracy"]["value"] = ours
    evaluation["baseline"]["scores"]["accuracy"]["value"] = theirs
    assert key in keys(report)


@pytest.mark.parametrize(("theirs", "behind"), [(0.95, True), (0.8, False)])
def test_a_baseline_that_ranks_as_well_is_named(report: dict[str, Any], theirs: float, behind: bool) -> None:  # noqa: FBT001
    report["evaluation"]["scores"]["tumour_auc"]["value"] = 0.9
    report["evaluation"]["baseline"]["scores"]["tumour_auc"] = {"value": theirs}
    assert ("baseline_ranks" in keys(report)) is behind


def test_a_model_that_refers_all_scans_has_no_rest(report: dict[str, Any]) -> None:
    report["evaluation"]["abstention"]["right_verdicts_of_the_rest"]["n"] = 0
    assert "abstention_all" in keys(report)
    report["evaluation"]["abstention"]["right_verdicts_of_the_rest"]["n"] = 3
    assert "abstention" in keys(report)


def test_parts_that_were_not_measured_are_left_out(report: dict[str, Any]) -> None:
    report["evaluation"] |= {"baseline": None, "abstention": None}
    report["analysis"] = None
    found = keys(report)
    assert "baseline_absent" in found
    assert not {"abstention", "mistakes"} & set(found)
