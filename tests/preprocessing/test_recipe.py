from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.errors import ConfigError
from brainslice.phantom import draw_phantom
from brainslice.preprocessing import Recipe, find_head, inside_frame
from brainslice.scan import Slice, read_scan

# An axial cut: no part of the head is cut off by the picture's border.
_WHOLE_HEAD = 1

RECIPES = st.builds(
    Recipe,
    size=st.integers(16, 512),
    crop=st.booleans(),
    margin=st.floats(0.0, 0.5),
    low=st.floats(0.0, 49.0),
    high=st.floats(51.0, 100.0),
)


def scan_of(pixels: np.ndarray) -> Slice:
    return Slice(pixels.astype(np.float32), "digest")


@pytest.fixture(scope="module")
def drawn() -> Slice:
    return scan_of(draw_phantom("meningioma", _WHOLE_HEAD, 0, seed=1).pixels)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 50), st.integers(1, 50)),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
    ),
    st.booleans(),
)
def test_any_slice_becomes_network_input(pixels: np.ndarray, crop: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    prepared = Recipe(size=32, crop=crop)(scan_of(pixels))
    assert prepared.shape == (32, 32)
    assert prepared.dtype == np.uint8


def test_the_head_fills_the_input_and_all_greys_are_used(drawn: Slice) -> None:
    prepared = Recipe(size=96)(drawn)
    assert prepared.min() == 0
    assert prepared.max() > 240
    rows, columns = np.nonzero(prepared > 60)
    assert max(np.ptp(rows), np.ptp(columns)) > 0.85 * 96


def test_black_borders_do_not_change_what_the_network_sees(drawn: Slice) -> None:
    wide = scan_of(np.pad(drawn.pixels, ((40, 10), (0, 90))))
    first, second = (Recipe(size=96)(scan).astype(float) for scan in (drawn, wide))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9


def test_the_unit_of_brightness_does_not_change_what_the_network_sees(drawn: Slice) -> None:
    deep = scan_of(drawn.pixels * 16.0 + 100.0)
    np.testing.assert_allclose(Recipe(size=64)(deep).astype(int), Recipe(size=64)(drawn).astype(int), atol=1)


def test_without_the_crop_the_whole_picture_is_kept(drawn: Slice) -> None:
    rows, columns = drawn.pixels.shape
    box = Recipe(crop=False).frame(drawn).box
    assert (box.top, box.left, box.bottom, box.right) == (0, 0, rows, columns)


def test_the_margin_is_a_share_of_the_head() -> None:
    pixels = np.zeros((300, 300), dtype=np.float32)
    pixels[100:200, 100:180] = 90.0
    pixels[0, 0] = 1.0
    head, box = find_head(pixels), Recipe(margin=0.1).frame(scan_of(pixels)).box
    assert head.top - box.top == box.right - head.right == round(0.1 * head.height)


def test_the_margin_never_reaches_back_into_a_frame() -> None:
    pixels = np.pad(np.full((100, 100), 90.0, dtype=np.float32), 2, constant_values=255.0)
    pixels[2:102, 2:10] = 0.0
    box = Recipe(margin=0.2).frame(scan_of(pixels)).box
    assert box.cut(pixels).max() == 90.0


def test_masks_follow_the_lesion() -> None:
    down, across = np.mgrid[:260, :220]
    head = np.hypot(down - 120, across - 130) <= 80
    lesion = np.hypot(down - 90, across - 150) <= 20
    scan = scan_of(head * 90.0 + lesion * 160.0)
    recipe = Recipe(size=96)
    mask = recipe.frame(scan).warp(lesion.astype(np.float32), nearest=True) > 0
    assert np.mean(mask != (recipe(scan) > 180)) < 0.01
    assert mask.sum() > 200


@given(RECIPES)
def test_json_round_trip_gives_an_equal_recipe(recipe: Recipe) -> None:
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.digest == recipe.digest


@given(RECIPES, RECIPES)
def test_digests_differ_exactly_when_recipes_do(first: Recipe, second: Recipe) -> None:
    assert (first.digest == second.digest) == (first == second)


def test_integers_are_accepted_as_floats() -> None:
    written = {**Recipe().to_json(), "low": 1, "high": 99}
    assert Recipe.from_json(written).digest == replace(Recipe(), low=1.0, high=99.0).digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sise": 3}, "'sise'"),
        ({"version": 0}, "version"),
        ({"size": "224"}, "size of a recipe must be a whole number"),
        ({"size": True}, "size of a recipe must be a whole number"),
        ({"size": 8}, "image size"),
        ({"crop": 1}, "true or false"),
        ({"margin": "wide"}, "margin of a recipe must be a number"),
        ({"margin": float("nan")}, "margin must be"),
        ({"low": 60.0, "high": 40.0}, "percentiles"),
    ],
)
def test_invalid_settings_raise(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Recipe.from_json({**Recipe().to_json(), **change})


@pytest.mark.parametrize("key", list(Recipe().to_json()))
def test_a_missing_key_is_named(key: str) -> None:
    written = Recipe().to_json()
    del written[key]
    with pytest.raises(ConfigError, match=key):
        Recipe.from_json(written)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["glioma", "meningioma", "notumor", "pituitary"])
def test_the_crop_of_real_scans_keeps_what_is_bright(real_scans: Path, kind: str) -> None:
    paths = sorted((real_scans / "nickparvar" / "Testing" / kind).iterdir())[::30]
    for path in paths:
        scan = read_scan(path)
        box = Recipe().frame(scan).box
        bright = (scan.pixels > 0.5 * np.percentile(scan.pixels, 95)).astype(np.float32)
        kept = box.cut(bright).sum() / inside_frame(scan.pixels).cut(bright).sum()
        assert kept > 0.97, path.name
