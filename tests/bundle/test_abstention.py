from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from brainslice.bundle.abstention import StoredConformalSets, StoredOodDetector
from brainslice.decision.conformal import ConformalSets, SetMethod


@pytest.mark.parametrize("method", list(SetMethod))
def test_sets_survive_being_stored_also_where_a_class_is_in_all_of_them(method: SetMethod) -> None:
    fitted = ConformalSets(method, 0.9, (0.25, math.inf, 1.0, 0.0), (50, 3, 70, 80), (9, 1, 8, 7))
    stored = StoredConformalSets.of(fitted)
    assert stored.quantiles == (0.25, None, 1.0, 0.0)
    again = StoredConformalSets.model_validate_json(stored.model_dump_json())
    assert again.conformal_sets() == fitted


@pytest.mark.parametrize(
    ("field", "value"),
    [("coverage", 1.0), ("coverage", 0.0), ("method", "raps"), ("quantiles", [1.5]), ("quantiles", ["inf"])],
)
def test_sets_that_cannot_be_meant_are_refused(field: str, value: object) -> None:
    whole = {"method": "lac", "coverage": 0.9, "quantiles": (0.5,), "counts": (9,), "groups": (3,)}
    with pytest.raises(ValidationError, match=field):
        StoredConformalSets.model_validate(whole | {field: value})


@pytest.mark.parametrize(("field", "value"), [("limit", 0.0), ("rejection_rate", 1.5), ("components", -1)])
def test_a_gate_that_cannot_be_meant_is_refused(field: str, value: object) -> None:
    whole = {"limit": 0.02, "components": 128, "training_scans": 2000, "validation_scans": 500, "rejection_rate": 0.02}
    with pytest.raises(ValidationError, match=field):
        StoredOodDetector.model_validate(whole | {field: value})
