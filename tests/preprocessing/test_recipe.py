from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice import lazy
from brainslice.errors import ConfigError, MissingExtraError
from brainslice.phantom import draw_phantom
from brainslice.preprocessing import Recipe, find_head, stretch
from brainslice.preprocessing.geometry import inside_frame
from brainslice.scan import Slice, read_scan

# An axial cut: no part of the head is cut off by the picture's border.
_WHOLE_HEAD = 1

LANDMARKS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CONTRASTS = st.sampled_from(
    [{}, {"contrast": "clahe"}, *({"contrast": "nyul", "landmarks": marks} for marks in (LANDMARKS, (0.5,) * 9))]
)
# Not recipes: these look for the libraries of their steps, which strategies must not.
VALUES = st.builds(
    lambda contrast, **values: values | contrast,
    CONTRASTS,
    size=st.integers(16, 512),
    crop=st.booleans(),
    margin=st.floats(0.0, 0.5),
    low=st.floats(0.0, 49.0),
    high=st.floats(51.0, 100.0),
    bias_field=st.sampled_from(["none", "n4"]),
)
STEPS = [
    pytest.param({"bias_field": "n4"}, id="n4"),
    pytest.param({"contrast": "clahe"}, id="clahe"),
    pytest.param({"contrast": "nyul", "landmarks": LANDMARKS}, id="nyul"),
]


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


def test_a_recipe_without_optional_steps_is_the_one_before_they_existed(drawn: Slice) -> None:
    # The digest and the steps of an earlier version: bundles and caches must not notice.
    assert Recipe().to_json() == {"version": 1, "size": 224, "crop": True, "margin": 0.02, "low": 0.5, "high": 99.5}
    assert Recipe().digest == "c2fc82a2f76131da48b3e51668d9e01e962c2770a90c6608117a51f7297ef6d8"
    frame = Recipe(size=96).frame(drawn)
    square = frame.place(stretch(frame.box.crop(drawn.pixels), 0.5, 99.5))
    np.testing.assert_array_equal(Recipe(size=96)(drawn), np.rint(square * 255).astype(np.uint8))


@pytest.mark.parametrize("steps", STEPS)
def test_an_optional_step_changes_digest_and_pixels_but_not_the_geometry(drawn: Slice, steps: dict[str, Any]) -> None:
    plain, changed = Recipe(size=96), Recipe(size=96, **steps)
    assert changed.digest != plain.digest
    assert changed.frame(drawn) == plain.frame(drawn)
    first, second = plain(drawn).astype(float), changed(drawn).astype(float)
    assert np.abs(first - second).max() > 2.0
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.7


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (30, 30)])
def test_optional_steps_take_any_slice(steps: dict[str, Any], shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random(shape, np.float32) * 1e30
    assert Recipe(size=32, **steps)(scan_of(pixels)).shape == (32, 32)


@pytest.mark.parametrize(("step", "library"), [("n4", "SimpleITK"), ("clahe", "cv2")])
def test_a_missing_library_is_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, step: str, library: str
) -> None:
    written = {**Recipe().to_json(), "bias_field" if step == "n4" else "contrast": step}
    monkeypatch.setattr(lazy, "is_installed", lambda name: name != library)
    with pytest.raises(
        MissingExtraError, match=rf"{step}\) needs {library}; install with: pip install 'brainslice\[{step}\]'$"
    ):
        Recipe.from_json(written)
    assert Recipe.from_json(Recipe().to_json()) == Recipe()


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
    assert box.crop(pixels).max() == 90.0


def test_masks_follow_the_lesion() -> None:
    down, across = np.mgrid[:260, :220]
    head = np.hypot(down - 120, across - 130) <= 80
    lesion = np.hypot(down - 90, across - 150) <= 20
    scan = scan_of(head * 90.0 + lesion * 160.0)
    recipe = Recipe(size=96)
    mask = recipe.frame(scan).warp(lesion.astype(np.float32), nearest=True) > 0
    assert np.mean(mask != (recipe(scan) > 180)) < 0.01
    assert mask.sum() > 200


@given(VALUES)
def test_json_round_trip_gives_an_equal_recipe(values: dict[str, Any]) -> None:
    recipe = Recipe(**values)
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.digest == recipe.digest


@given(VALUES, VALUES)
def test_digests_differ_exactly_when_recipes_do(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = Recipe(**one), Recipe(**other)
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
        ({"bias_field": "n3"}, "bias_field of a recipe must be one of none, n4"),
        ({"contrast": "sharp"}, "contrast of a recipe must be one of none, clahe, nyul"),
        ({"contrast": "nyul"}, "9 numbers for nyul"),
        ({"landmarks": list(LANDMARKS)}, "none otherwise"),
        ({"contrast": "nyul", "landmarks": "none"}, "list of numbers"),
        ({"contrast": "nyul", "landmarks": [True] * 9}, "list of numbers"),
        ({"contrast": "nyul", "landmarks": list(LANDMARKS[::-1])}, "rise from 0 to 1"),
        ({"contrast": "nyul", "landmarks": [float("nan")] * 9}, "rise from 0 to 1"),
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
        kept = box.crop(bright).sum() / inside_frame(scan.pixels).crop(bright).sum()
        assert kept > 0.97, path.name
