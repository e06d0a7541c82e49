from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from brainslice.bundle.fields import Count, Fraction, Line, NotNegative, PlainName, Sha256, StoredModel


class Part(StoredModel):
    share: Fraction


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Fraction, 1.0), (NotNegative, 3.5), (Count, 0), (Sha256, "ab" * 32), (PlainName, "model.onnx"), (Line, "a scan")],
)
def test_what_can_be_meant_is_kept_as_it_is(kind: object, value: object) -> None:
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
def test_what_cannot_be_meant_is_refused(kind: object, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize("text", ['{"share": "0.5"}', '{"share": NaN}', '{"share": 0.5, "other": 1}', "{}"])
def test_a_part_is_read_strictly(text: str) -> None:
    with pytest.raises(ValidationError):
        Part.model_validate_json(text)
