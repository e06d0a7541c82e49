from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from brainslice.decision.operating_point import Criterion, MeasuredOn, Target
from brainslice.decision.threshold_search import Assurance, TumourScores, guaranteed_threshold, search_threshold
from brainslice.errors import CalibrationError
from brainslice.evaluation.operating_points import (
    OperatingPointRequest,
    find_operating_point,
    operating_curve,
    rates_at,
    tuning_decision_curve,
)
from brainslice.evaluation.tuning_data import TuningScans
from brainslice.metrics.intervals import clopper_pearson
from brainslice.service.model_info import OperatingCurve

GOAL = Target(Criterion.SENSITIVITY, 0.9)


def drawn(seed: int, n: int = 200) -> TumourScores:
    rng = np.random.default_rng(seed)
    tumour = np.arange(n) % 2 == 0
    return TumourScores(1 / (1 + np.exp(-rng.normal(3.0 * tumour - 1.5, 1.0))), tumour, np.arange(n))


SCANS = TuningScans(drawn(0), drawn(1), "a site", ("a note",), allows_guarantee=True)
ALONE = replace(SCANS, held_out=None)


def test_threshold_is_chosen_on_tuning_scans_and_measured_on_held_out_scans() -> None:
    found = find_operating_point(OperatingPointRequest(GOAL), SCANS)
    assert SCANS.held_out is not None
    assert found.point.threshold == search_threshold(GOAL, SCANS.tuning).threshold
    called = SCANS.held_out.scores >= found.point.threshold
    hits = int(called[SCANS.held_out.tumour].sum())
    oracle = clopper_pearson(hits, 100)
    assert found.point.sensitivity.value == hits / 100
    assert (found.point.sensitivity.low, found.point.sensitivity.high) == (oracle.low, oracle.high)
    assert found.point.measured_on is MeasuredOn.HELD_OUT
    assert found.sensitivity.value >= 0.9


def test_point_without_held_out_scans_is_measured_on_tuning_scans() -> None:
    found = find_operating_point(OperatingPointRequest(GOAL), ALONE)
    assert found.point.measured_on is MeasuredOn.TUNING
    assert found.point.sensitivity == found.sensitivity
    assert "not guaranteed for others" in found.point.promise


def test_guarantee_is_stored_and_in_the_name() -> None:
    found = find_operating_point(OperatingPointRequest(GOAL, assurance=Assurance(seed=4)), SCANS)
    assert found.point.threshold == guaranteed_threshold(GOAL, SCANS.tuning, Assurance(seed=4)).threshold
    assert found.point.guarantee is not None
    assert found.point.guarantee.units == 100
    assert found.point.name == "sensitivity-0.9-guaranteed"
    assert "guaranteed with 90% probability" in found.point.promise


def test_no_guarantee_on_scans_related_to_training() -> None:
    with pytest.raises(CalibrationError, match="no guarantee can be given on a site"):
        find_operating_point(OperatingPointRequest(GOAL, assurance=Assurance()), replace(SCANS, allows_guarantee=False))


def test_costs_use_the_given_prevalence() -> None:
    goal = Target(Criterion.COST, 3.0)
    stated = find_operating_point(OperatingPointRequest(goal, prevalence=0.01), SCANS).point
    assert stated.prevalence == 0.01
    assert stated.threshold == search_threshold(goal, SCANS.tuning, 0.01).threshold
    assert find_operating_point(OperatingPointRequest(goal), SCANS).point.prevalence == 0.5
    assert stated.threshold > find_operating_point(OperatingPointRequest(goal), SCANS).point.threshold


def test_predictive_values_need_a_prevalence() -> None:
    found = find_operating_point(OperatingPointRequest(GOAL, prevalence=0.05), SCANS)
    assert found.values is not None
    assert found.values.positive is not None
    sensitivity, specificity = found.point.sensitivity.value, found.point.specificity.value
    expected = 0.05 * sensitivity / (0.05 * sensitivity + 0.95 * (1 - specificity))
    assert found.values.positive == pytest.approx(expected)
    assert find_operating_point(OperatingPointRequest(GOAL), SCANS).values is None


def test_to_json_returns_json_types() -> None:
    found = find_operating_point(
        OperatingPointRequest(GOAL, name="ward-3", assurance=Assurance(), prevalence=0.05), SCANS
    )
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["name"] == "ward-3"
    assert content["guarantee"]["unit"] == "scan"
    assert content["on_tuning_scans"]["sensitivity"]["n"] == 100
    assert content["predictive_values"]["prevalence"] == 0.05


def test_rates_at_thresholds_zero_and_one() -> None:
    found, cleared = rates_at(drawn(2), 0.0)
    assert (found.value, cleared.value) == (1.0, 0.0)


def test_decision_curve_uses_the_reported_scans() -> None:
    assert SCANS.held_out is not None
    curve, alone = tuning_decision_curve(SCANS, None), tuning_decision_curve(ALONE, 0.2)
    assert curve.prevalence == SCANS.held_out.prevalence
    assert alone.prevalence == 0.2
    assert not np.array_equal(curve.model, tuning_decision_curve(ALONE, None).model)


def test_operating_curve_has_rates_at_every_threshold() -> None:
    content = json.loads(json.dumps(operating_curve(SCANS), allow_nan=False))
    thresholds = [point["threshold"] for point in content["points"]]
    assert thresholds == sorted(set(thresholds))
    assert (thresholds[0], thresholds[-1]) == (0.0, 1.0)
    assert SCANS.held_out is not None
    for point in content["points"][::10]:
        found, cleared = rates_at(SCANS.held_out, point["threshold"])
        assert point["sensitivity"] == {"value": found.value, "low": found.low, "high": found.high}
        assert point["specificity"]["value"] == cleared.value
    assert (content["tumours"], content["healthy"], content["groups"], content["level"]) == (100, 100, 200, 0.95)
    assert OperatingCurve.model_validate_json(json.dumps(content)).points[0].threshold == 0.0
    falling = [point["sensitivity"]["value"] for point in content["points"]]
    assert falling == sorted(falling, reverse=True)
