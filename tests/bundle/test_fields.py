from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from brainslice.bundle.fields import (
    Count,
    Ensemble,
    Fraction,
    Line,
    Member,
    NotNegative,
    PlainName,
    Sha256,
    StoredConformalSets,
    StoredModel,
    StoredOodDetector,
)
from brainslice.bundle.model_card import render_model_card
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, BundleInfo
from brainslice.decision.conformal import ConformalSets, SetMethod


class Part(StoredModel):
    share: Fraction


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Fraction, 1.0), (NotNegative, 3.5), (Count, 0), (Sha256, "ab" * 32), (PlainName, "model.onnx"), (Line, "a scan")],
)
def test_valid_values_are_kept(kind: object, value: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Fraction, 1.1),
        (NotNegative, -0.1),
        (Count, -1),
        (Sha256, "AB" * 32),
        (PlainName, "../model.onnx"),
        (PlainName, ".hidden"),
        (Line, "two\nlines"),
        (Line, ""),
    ],
)
def test_invalid_settings_raise(kind: object, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize("text", ['{"share": "0.5"}', '{"share": NaN}', '{"share": 0.5, "other": 1}', "{}"])
def test_parsing_is_strict(text: str) -> None:
    with pytest.raises(ValidationError):
        Part.model_validate_json(text)


@pytest.mark.parametrize("method", list(SetMethod))
def test_conformal_sets_round_trip(method: SetMethod) -> None:
    fitted = ConformalSets(method, 0.9, (0.25, math.inf, 1.0, 0.0), (50, 3, 70, 80), (9, 1, 8, 7))
    stored = StoredConformalSets.of(fitted)
    assert stored.quantiles == (0.25, None, 1.0, 0.0)
    again = StoredConformalSets.model_validate_json(stored.model_dump_json())
    assert again.conformal_sets() == fitted


@pytest.mark.parametrize(
    ("field", "value"),
    [("coverage", 1.0), ("coverage", 0.0), ("method", "raps"), ("quantiles", [1.5]), ("quantiles", ["inf"])],
)
def test_invalid_conformal_sets_raise(field: str, value: object) -> None:
    whole = {"method": "lac", "coverage": 0.9, "quantiles": (0.5,), "counts": (9,), "groups": (3,)}
    with pytest.raises(ValidationError, match=field):
        StoredConformalSets.model_validate(whole | {field: value})


@pytest.mark.parametrize(("field", "value"), [("limit", 0.0), ("rejection_rate", 1.5), ("components", -1)])
def test_invalid_detector_raises(field: str, value: object) -> None:
    whole = {"limit": 0.02, "components": 128, "training_scans": 2000, "validation_scans": 500, "rejection_rate": 0.02}
    with pytest.raises(ValidationError, match=field):
        StoredOodDetector.model_validate(whole | {field: value})


def member(**changes: object) -> Member:
    fields = {
        "digest": "1" * 64,
        "backbone": "efficientnetv2-b0",
        "weights_digest": "2" * 64,
        "split_digest": "3" * 64,
        "temperature": 1.25,
    }
    return Member.model_validate(fields | changes)


def test_ensemble_round_trip(draft: BundleDraft) -> None:
    ensemble = Ensemble(members=(member(), member(backbone="efficientnet-b1")), members_per_scan=1)
    info = BundleInfo.sign(draft.model_copy(update={"ensemble": ensemble}), {GRAPH_FILE: "4" * 64})
    again = BundleInfo.model_validate_json(info.to_text())
    assert again == info
    assert again.ensemble == ensemble
    assert (again.digest, again.seal) == (again.expected_digest(), again.expected_seal())


def test_single_network_has_no_members(draft: BundleDraft) -> None:
    info = BundleInfo.sign(draft, {GRAPH_FILE: "4" * 64})
    assert "ensemble" not in info.to_text()


@pytest.mark.parametrize(
    "fields",
    [
        {"members": (member(),), "members_per_scan": 1},
        {"members": (member(), member()), "members_per_scan": 0},
        {"members": (member(), member()), "members_per_scan": 3},
    ],
)
def test_invalid_ensembles_raise(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Ensemble.model_validate(fields)


def test_card_of_an_ensemble(draft: BundleDraft) -> None:
    pair = (member(), member(digest="5" * 64))
    exact = render_model_card(draft.model_copy(update={"ensemble": Ensemble(members=pair, members_per_scan=2)}))
    rough = render_model_card(draft.model_copy(update={"ensemble": Ensemble(members=pair, members_per_scan=1)}))
    for card in (exact, rough):
        assert "Ensemble of 2 networks" in card
        assert "`555555555555`" in card
    assert "approximations" in rough
    assert "approximations" not in exact
