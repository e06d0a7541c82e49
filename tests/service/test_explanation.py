from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brainslice.errors import DatasetError
from brainslice.inference.overlay import draw_page, encode_png
from brainslice.inference.predictor import Predictor
from brainslice.scan.read import read_scan
from brainslice.service.explanation import MAX_SIDE, data_address, explanation, original_picture, overlay


def test_explanation_has_a_map_for_each_class(predictor: Predictor, scans: list[Path]) -> None:
    prediction = predictor.predict(scans[0])
    told = explanation(prediction, read_scan(scans[0]))
    assert list(told["maps"]) == list(prediction.labels.names)
    stacked = np.stack(list(told["maps"].values()), axis=-1)
    np.testing.assert_allclose(stacked, prediction.class_maps, atol=1e-6)
    assert told["prediction"] == prediction.to_json()


def test_overlay_equals_the_page_of_predict(predictor: Predictor, scans: list[Path]) -> None:
    prediction = predictor.predict(scans[0])
    drawn = Image.open(io.BytesIO(overlay(prediction, "glioma", 0.4)))
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(draw_page(prediction, "glioma", 0.4)))


def test_overlay_of_an_unknown_class_raises(predictor: Predictor, scans: list[Path]) -> None:
    with pytest.raises(DatasetError):
        overlay(predictor.predict(scans[0]), "migraine", 0.4)


def test_data_url_holds_the_image() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    address = data_address(Image.fromarray(grey))
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), grey)


def test_original_image_uses_all_grey_levels() -> None:
    ramp = np.linspace(-1000, 3000, 10_000, dtype=np.float32).reshape(100, 100)
    shown = np.asarray(original_picture(ramp))
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()


@given(st.integers(1, 5000), st.integers(1, 300))
def test_original_image_is_limited_in_size(rows: int, columns: int) -> None:
    picture = original_picture(np.ones((rows, columns), dtype=np.float32))
    assert max(picture.size) <= MAX_SIDE
    if max(rows, columns) <= MAX_SIDE:
        assert picture.size == (columns, rows)
    elif min(picture.size) > 50:
        assert picture.size[0] / picture.size[1] == pytest.approx(columns / rows, rel=0.05)


def test_png_signature() -> None:
    assert encode_png(Image.new("L", (2, 2))).startswith(b"\x89PNG\r\n\x1a\n")
