from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from brainslice.bundle.types import OPTIONAL, BundleDraft, BundleInfo, Classes, StoredConformalSets
from brainslice.dataset.splits.split import Protocol
from brainslice.labels import LabelSet
from operating_points import operating_point

HASHES = {"model.onnx": "0" * 64, "model.keras": "1" * 64}

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def info(draft: BundleDraft) -> BundleInfo:
    return BundleInfo.sign(draft, HASHES)


def altered(info: BundleInfo, *path: str, value: object) -> str:
    """Spell a description with one field changed, as an editor would."""
    whole: dict[str, Any] = json.loads(info.to_text())
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(whole)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    temperature=st.floats(0.05, 20.0),
    threshold=st.floats(0, 1),
    bias=st.lists(finite, min_size=4, max_size=4),
    name=st.text("aé漢 -_'\"\\", min_size=1),
    size=st.integers(16, 2048),
)
def test_description_round_trip(
    draft: BundleDraft, temperature: float, threshold: float, bias: list[float], name: str, size: int
) -> None:
    changed = draft.model_copy(
        update={
            "temperature": temperature,
            "threshold": threshold,
            "class_map_bias": tuple(bias),
            "name": name,
            "recipe": draft.recipe | {"size": size},
        }
    )
    info = BundleInfo.sign(changed, HASHES)
    again = BundleInfo.model_validate_json(info.to_text())
    assert again == info
    assert again.to_text() == info.to_text()
    assert (again.digest, again.seal) == (again.expected_digest(), again.expected_seal())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("temperature",), "1.25"),
        (("temperature",), 0.0),
        (("temperature",), -1.0),
        (("temperature",), None),
        (("threshold",), 1.01),
        (("threshold",), True),
        (("class_map_bias",), [0.0, 0.0, 0.0]),
        (("class_map_bias",), "0000"),
        (("class_map_shape",), [7, 0]),
        (("class_map_shape",), [7, 7, 7]),
        (("created",), "2025-03-01T12:30:00"),
        (("created",), "yesterday"),
        (("name",), "two\nlines"),
        (("name",), ""),
        (("labels", "names"), ["glioma", "glioma", "no_tumor", "pituitary"]),
        (("labels", "names"), ["no_tumor"]),
        (("labels", "healthy"), "fine"),
        (("provenance", "protocol"), "mostly clean"),
        (("provenance", "leaky"), "no"),
        (("provenance", "seed"), 1.5),
        (("provenance", "train_images"), 0),
        (("provenance", "manifest_digest"), "AB" * 32),
        (("provenance", "patient"), "somebody"),
        (("validation", "accuracy"), 75.0),
        (("parity", "logits"), -1e-9),
        (("files",), {"model.keras": "0" * 64}),
        (("files", "model.onnx"), "0" * 63),
        (("files", "../model.onnx"), "0" * 64),
        (("files", "a/b"), "0" * 64),
        (("files", "a\\b"), "0" * 64),
        (("files", ".hidden"), "0" * 64),
        (("files", "C:evil"), "0" * 64),
        (("files", "bundle.json"), "0" * 64),
        (("format",), 0),
        (("format",), "1"),
        (("digest",), "short"),
        (("stray",), 1),
    ],
)
def test_invalid_fields_raise(info: BundleInfo, path: tuple[str, ...], value: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        BundleInfo.model_validate_json(altered(info, *path, value=value))
    assert refusal.value.error_count() >= 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_infinite_fields_raise(info: BundleInfo, number: str) -> None:
    with pytest.raises(ValidationError):
        BundleInfo.model_validate_json(info.to_text().replace("1.25", number))


def test_required_and_optional_fields(info: BundleInfo) -> None:
    for name in BundleDraft.model_fields.keys() - {"threshold", *OPTIONAL}:
        whole = json.loads(info.to_text())
        del whole[name]
        with pytest.raises(ValidationError, match="Field required"):
            BundleInfo.model_validate_json(json.dumps(whole))


def test_empty_optional_fields_are_left_out(info: BundleInfo) -> None:
    assert OPTIONAL & json.loads(info.to_text()).keys() == {"seal"}


@pytest.mark.parametrize("count", [3, 5])
def test_prediction_sets_need_a_quantile_for_each_class(draft: BundleDraft, count: int) -> None:
    sets = StoredConformalSets(method="lac", coverage=0.9, quantiles=(0.5,) * count, counts=(40,) * 4, groups=(9,) * 4)
    with pytest.raises(ValidationError, match="4 quantiles, counts and groups"):
        BundleInfo.sign(draft.model_copy(update={"conformal": sets}), HASHES)


def test_infinite_quantiles_round_trip(draft: BundleDraft) -> None:
    sets = StoredConformalSets(
        method="aps", coverage=0.9, quantiles=(0.5, None, 1.0, 0.0), counts=(40, 2, 50, 60), groups=(4, 2, 5, 6)
    )
    info = BundleInfo.sign(draft.model_copy(update={"conformal": sets}), HASHES)
    assert BundleInfo.model_validate_json(info.to_text()).conformal == sets


def test_digest_depends_on_every_field(info: BundleInfo) -> None:
    changes = {"temperature": 1.26, "name": "other", "threshold": 0.4, "files": {"model.onnx": "2" * 64}}
    digests = {info.model_copy(update={name: value}).expected_digest() for name, value in changes.items()}
    assert len(digests | {info.digest}) == len(changes) + 1


def test_the_seal_covers_the_time_and_the_digest_does_not(info: BundleInfo, draft: BundleDraft) -> None:
    later = BundleInfo.sign(draft.model_copy(update={"created": draft.created + timedelta(seconds=1)}), HASHES)
    assert later.digest == info.digest
    assert later.seal != info.seal
    # In bundles of before, the digest covered all.
    before = [each.model_copy(update={"seal": None}).expected_digest() for each in (info, later)]
    assert len({*before, info.digest}) == 3


def test_the_digest_does_not_depend_on_the_order_of_the_files(draft: BundleDraft) -> None:
    backwards = dict(reversed(HASHES.items()))
    assert BundleInfo.sign(draft, backwards).digest == BundleInfo.sign(draft, HASHES).digest


def test_descriptions_are_immutable(info: BundleInfo) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(info, "temperature", 2.0)  # noqa: B010 - the type forbids it in plain words


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("phantom", [False, True])
def test_warnings_of_the_provenance(draft: BundleDraft, *, leaky: bool, phantom: bool) -> None:
    provenance = draft.provenance.model_copy(update={"leaky": leaky, "phantom": phantom})
    marks = draft.model_copy(update={"provenance": provenance}).warnings
    assert ("leaky" in marks, "phantom" in marks) == (leaky, phantom)
    assert len(marks) == leaky + phantom


def test_label_set_round_trip() -> None:
    labels = LabelSet(names=("b", "a"), healthy="a")
    assert Classes.of(labels).label_set() == labels


def test_protocol_names_equal_those_of_splits(draft: BundleDraft) -> None:
    for protocol in Protocol:
        fields = draft.provenance.model_dump() | {"protocol": protocol.value}
        assert type(draft.provenance)(**fields).protocol == protocol


def test_operating_points_round_trip(draft: BundleDraft) -> None:
    point = operating_point()
    info = BundleInfo.sign(draft.model_copy(update={"operating_points": (point,)}), HASHES)
    assert BundleInfo.model_validate_json(info.to_text()).operating_points == (point,)


def test_operating_point_names_are_unique(draft: BundleDraft) -> None:
    pair = (operating_point(), operating_point())
    with pytest.raises(ValidationError, match="must differ in their names"):
        BundleInfo.sign(draft.model_copy(update={"operating_points": pair}), HASHES)


def test_labels_in_another_order_are_refused(draft: BundleDraft) -> None:
    bound = draft.labels.digest_with(draft.provenance.weights_digest)
    fields = {name: getattr(draft, name) for name in BundleDraft.model_fields} | {"labels_digest": bound}
    assert BundleDraft(**fields).labels_digest == bound
    swapped = Classes(names=draft.labels.names[::-1], healthy=draft.labels.healthy)
    for changed in (
        {"labels": swapped},
        {"provenance": draft.provenance.model_copy(update={"weights_digest": "3" * 64})},
    ):
        with pytest.raises(ValidationError, match="in their order"):
            BundleDraft(**(fields | changed))
