from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from brainslice.decision.verdict import Verdict
from brainslice.errors import DatasetError, ResourceError, UsageError
from brainslice.inference.overlay import apply_colormap, caption, draw_overlay, draw_page, save_overlay
from brainslice.inference.prediction import Prediction
from brainslice.labels import LabelSet

SEEN = np.random.default_rng(0).integers(0, 256, size=(48, 48), dtype=np.uint8)
HEAT = np.hypot(*np.mgrid[-24:24, -20:28]).astype(np.float32)


@pytest.fixture
def prediction() -> Prediction:
    labels = LabelSet()
    return Prediction(
        source="Jane Doe 1970-01-01.png",
        labels=labels,
        probabilities=dict(zip(labels.names, (0.9991, 0.0003, 0.0004, 0.0002), strict=True)),
        threshold=0.5,
        warnings=("phantom", "leaky"),
        bundle="0" * 64,
        network_input=SEEN,
        class_maps=np.random.default_rng(1).random((3, 3, 4), dtype=np.float32),
        verdict=Verdict.TUMOUR,
    )


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[..., np.newaxis], 3, axis=-1)


def test_overlay_without_heat_is_the_scan() -> None:
    np.testing.assert_array_equal(draw_overlay(SEEN, np.zeros_like(HEAT), 1.0), grey(SEEN))
    half = np.where(np.arange(48) < 24, HEAT, np.float32(0))
    np.testing.assert_array_equal(draw_overlay(SEEN, half, 1.0)[:, 24:], grey(SEEN)[:, 24:])


def test_opacity_zero_is_the_scan() -> None:
    np.testing.assert_array_equal(draw_overlay(SEEN, HEAT, 0.0), grey(SEEN))


def test_opacity_one_hides_the_scan_at_the_maximum() -> None:
    strongest = np.unravel_index(HEAT.argmax(), HEAT.shape)
    lightest = apply_colormap(np.ones((1, 1), dtype=np.float32))[0, 0]
    np.testing.assert_array_equal(draw_overlay(SEEN, HEAT, 1.0)[strongest], lightest)


@settings(max_examples=15)
@given(st.floats(1e-3, 1e3), st.floats(0, 1))
def test_colours_are_relative_to_the_maximum(factor: float, opacity: float) -> None:
    scaled = draw_overlay(SEEN, HEAT * np.float32(factor), opacity).astype(int)
    assert np.abs(scaled - draw_overlay(SEEN, HEAT, opacity)).max() <= 1


@pytest.mark.parametrize("opacity", [-0.01, 1.01, np.nan])
def test_invalid_opacity_raises(opacity: float) -> None:
    with pytest.raises(UsageError, match="opacity must be a share from 0 to 1"):
        draw_overlay(SEEN, HEAT, opacity)


@pytest.mark.parametrize("number", [-1e-3, np.nan, np.inf])
def test_invalid_heat_raises(number: float) -> None:
    heat = HEAT.copy()
    heat[3, 4] = number
    with pytest.raises(UsageError, match="heat map must be finite and at least 0"):
        draw_overlay(SEEN, heat)


def test_caption_has_class_percentage_and_warnings(prediction: Prediction) -> None:
    answer, meaning, warnings = caption(prediction, "glioma")
    assert answer == "glioma, > 99 %  (any tumour > 99 %)"
    assert meaning == "evidence for glioma, relative to its maximum"
    assert warnings == "research use only, not for diagnosis · phantom · leaky"


def test_page_of_another_class(prediction: Prediction) -> None:
    assert "evidence for pituitary" in caption(prediction, "pituitary")[1]
    assert draw_page(prediction, "pituitary").tobytes() != draw_page(prediction).tobytes()
    with pytest.raises(DatasetError, match="got 'wart'"):
        draw_page(prediction, "wart")


def test_page_has_scan_overlay_and_caption(prediction: Prediction) -> None:
    page = np.asarray(draw_page(prediction)).astype(int)
    scan, overlay = page[12:460, 12:460], page[12:460, 472:920]
    assert (scan.max(axis=2) == scan.min(axis=2)).all(), "the scan is grey"
    assert (overlay.max(axis=2) - overlay.min(axis=2)).max() > 90, "the overlay is not"
    for top in (472, 498, 524):
        assert page[top : top + 24, 12:300].max() > 200, f"no line of the caption at row {top}"


def test_warnings_are_drawn(prediction: Prediction) -> None:
    unmarked = draw_page(replace(prediction, warnings=()))
    assert unmarked.tobytes() != draw_page(prediction).tobytes()


def test_long_names_are_shortened(prediction: Prediction) -> None:
    labels = LabelSet(names=("w" * 300, "healthy"), healthy="healthy")
    long = replace(
        prediction, labels=labels, probabilities={"w" * 300: 0.6, "healthy": 0.4}, class_maps=np.ones((2, 2, 2))
    )
    page = np.asarray(draw_page(long))
    assert not page[472:, -12:].any()
    assert page[498:524, 790:800].max() == 0, "the text runs into the colour bar"


def test_file_is_a_png_without_metadata(prediction: Prediction, tmp_path: Path) -> None:
    path = tmp_path / "overlays" / "first.png"
    save_overlay(prediction, path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.info == {}
        assert picture.tobytes() == draw_page(prediction).tobytes()
    assert b"Jane" not in path.read_bytes()
    assert [found.name for found in path.parent.iterdir()] == ["first.png"]


def test_full_disk_keeps_the_older_image(
    prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "overlay.png"
    path.write_bytes(b"older")

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ResourceError, match="no space left on the disk"):
        save_overlay(prediction, path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


# Linear light to Oklab (Ottosson 2020).
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# What eyes without green or red cones make of linear light (Machado, Oliveira and Fernandes 2009).
MISSING_CONES = {
    "none": np.eye(3),
    "green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}


def table(steps: int = 256) -> np.ndarray:
    return apply_colormap(np.linspace(0, 1, steps, dtype=np.float32)[np.newaxis])[0]


def oklab(colours: np.ndarray, missing: str = "none") -> np.ndarray:
    values = colours / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(light @ MISSING_CONES[missing].T, 0, 1)
    return np.asarray(np.cbrt(seen @ CONES.T) @ OPPONENTS.T)


@pytest.mark.parametrize("missing", sorted(MISSING_CONES))
def test_colormap_lightness_increases_with_colour_blindness(missing: str) -> None:
    lightness = oklab(table(64), missing)[:, 0]
    assert (np.diff(lightness) > 0).all()


def test_colormap_is_perceptually_uniform() -> None:
    steps = np.linalg.norm(np.diff(oklab(table(33)), axis=0), axis=1)
    assert steps.max() / steps.min() < 1.25


@pytest.mark.parametrize("missing", sorted(MISSING_CONES))
def test_nine_levels_are_distinguishable_with_colour_blindness(missing: str) -> None:
    levels = oklab(table(9), missing)
    apart = np.linalg.norm(levels[:, np.newaxis] - levels[np.newaxis], axis=-1)[~np.eye(9, dtype=bool)]
    assert apart.min() > 0.05


def test_upper_half_of_the_colormap_is_not_grey() -> None:
    colours = table()[64:230].astype(int)
    assert (colours.max(axis=1) - colours.min(axis=1)).min() > 90


@given(st.floats(-1e6, 1e6, width=32))
def test_levels_are_clipped(level: float) -> None:
    shown = apply_colormap(np.array([[level]], dtype=np.float32))
    expected = apply_colormap(np.clip(np.array([[level]], dtype=np.float32), 0, 1))
    np.testing.assert_array_equal(shown, expected)
