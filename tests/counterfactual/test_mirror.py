from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from brainslice.counterfactual.mirror import (
    MIN_SYMMETRY,
    MirrorTwins,
    correlation,
    feathered,
    find_midline,
    mirror_region,
    mirror_sham,
    mirror_twins,
    opposite,
    widened,
)
from drawn_heads import SIZE, symmetric_head, with_lesion

NO_LESION = np.zeros((SIZE, SIZE), np.bool_)


def twins_of(column: int = 80, tilt: float = 0.0) -> MirrorTwins:
    twins = mirror_twins(*with_lesion(symmetric_head(2, tilt), column=column))
    assert twins is not None
    return twins


@pytest.mark.parametrize("patient", range(4))
@pytest.mark.parametrize(("tilt", "shift"), [(0.0, 0), (5.0, 0), (-9.0, 0), (3.0, 7), (0.0, -8)])
def test_the_midline_of_a_tilted_head_is_found(patient: int, tilt: float, shift: int) -> None:
    midline = find_midline(symmetric_head(patient, tilt, shift), NO_LESION)
    assert midline is not None
    assert midline.symmetry > 0.9
    assert midline.angle == pytest.approx(-tilt, abs=1.0)
    # At the height of the picture's middle the axis keeps its column, whatever the tilt.
    shifted = SIZE / 2 - 0.5 + shift * np.cos(np.radians(tilt))
    assert midline.columns / 2 == pytest.approx(shifted, abs=2.0)


def test_a_lesion_does_not_move_the_midline() -> None:
    picture, lesion = with_lesion(symmetric_head(1, 4.0), radius=24)
    midline = find_midline(picture, lesion)
    assert midline is not None
    assert midline.angle == pytest.approx(-4.0, abs=1.0)


def test_the_correlation_of_the_halves_is_pearsons() -> None:
    picture, lesion = with_lesion(symmetric_head(3))
    midline = find_midline(picture, lesion)
    assert midline is not None
    assert midline.angle == 0.0
    half = np.asarray(Image.fromarray(picture.astype(np.float32)).reduce(2))
    hidden = np.asarray(Image.fromarray(lesion.astype(np.float32)).reduce(2)) > 0
    partner = (midline.columns - 1) // 2 - np.arange(SIZE // 2)
    inside = (partner >= 0) & (partner < SIZE // 2)
    one, other = half[:, inside], half[:, partner[inside]]
    counted = ((one > 12) | (other > 12)) & ~(hidden[:, inside] | hidden[:, partner[inside]])
    assert midline.symmetry == pytest.approx(correlation(one[counted], other[counted]), abs=1e-5)


def test_a_picture_without_symmetry_has_no_midline() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    assert find_midline(noise, NO_LESION) is None
    assert find_midline(np.zeros((SIZE, SIZE), np.uint8), NO_LESION) is None
    assert find_midline(np.full((SIZE, SIZE), 99, np.uint8), NO_LESION) is None


@pytest.mark.parametrize("tilt", [0.0, 6.0])
@pytest.mark.parametrize("column", [80, 140])
def test_twins_differ_at_the_lesions_only(column: int, tilt: float) -> None:
    twins = twins_of(column, tilt)
    differs = twins.healthy.astype(int) - twins.lesion.astype(int)
    beside = widened(twins.outline, 4)
    # The heads are symmetric but for what two rotations blur.
    assert np.abs(differs[twins.outline]).mean() > 30
    assert np.abs(differs[~beside]).mean() < 4


def test_the_lesion_twin_has_the_lesion_in_both_halves_and_the_healthy_twin_in_none() -> None:
    twins = twins_of()
    left, right = twins.outline[:, : SIZE // 2], twins.outline[:, SIZE // 2 :]
    assert left.sum() == pytest.approx(right.sum(), rel=0.1)
    assert left.sum() > 500
    assert (twins.lesion[twins.outline] > 200).mean() > 0.9
    assert (twins.healthy[twins.outline] > 200).mean() < 0.1


@pytest.mark.parametrize("column", [112, 100])
def test_a_lesion_at_the_midline_makes_no_twins(column: int) -> None:
    assert mirror_twins(*with_lesion(symmetric_head(2), column=column)) is None


def test_a_picture_without_lesion_makes_no_twins() -> None:
    assert mirror_twins(symmetric_head(2), NO_LESION) is None


def test_mirroring_a_region_leaves_the_rest_untouched() -> None:
    picture = symmetric_head(0, 5.0)
    midline = find_midline(picture, NO_LESION)
    assert midline is not None
    region = with_lesion(picture, row=90, column=70, radius=20)[1]
    changed = mirror_region(picture, region, midline) != picture
    assert changed.any()
    assert not (changed & (feathered(region) == 0)).any()


def test_mirroring_a_lesion_removes_it() -> None:
    picture, lesion = with_lesion(symmetric_head(0))
    midline = find_midline(picture, lesion)
    assert midline is not None
    assert (mirror_region(picture, lesion, midline)[lesion] > 200).mean() < 0.1


def test_the_opposite_region_lies_in_the_other_half() -> None:
    picture, lesion = with_lesion(symmetric_head(0), column=60)
    midline = find_midline(picture, lesion)
    assert midline is not None
    found = np.flatnonzero(opposite(lesion, midline).any(axis=0))
    assert found.mean() == pytest.approx(SIZE - 1 - 60, abs=2)


def test_a_feathered_region_is_one_inside_and_zero_far_away() -> None:
    _, region = with_lesion(symmetric_head(0), radius=20)
    weight = feathered(region)
    assert weight[region].min() > 0.8
    assert weight[~widened(region, 20)].max() == 0


def test_correlation_needs_pixels_that_vary() -> None:
    values = np.arange(60, dtype=np.float32)
    assert correlation(values, 3 * values + 1) == pytest.approx(1.0)
    assert correlation(values[:49], values[:49]) == -1.0
    assert correlation(np.ones_like(values), values) == -1.0


@pytest.mark.real
@pytest.mark.slow
def test_a_known_share_of_real_tumours_makes_twins(real_scans: Path) -> None:
    from brainslice.dataset.splits.known_datasets import known_scans
    from brainslice.preprocessing import Recipe
    from brainslice.scan.read import read_scan

    recipe, made, looked = Recipe(), [], 0
    paths = [path for name in ("glioma", "meningioma") for path in (real_scans / "nickparvar").glob(f"*/{name}/*")]
    for path in sorted(paths)[::20]:
        known = known_scans()[path.stem.casefold()]
        if not known.mask:
            continue
        scan = read_scan(path)
        with Image.open(real_scans / "tumour_masks" / known.mask) as drawn:
            outline = np.asarray(drawn.convert("L").resize(scan.pixels.shape[::-1], Image.Resampling.NEAREST))
        outline = outline[:, ::-1] if known.mirrored else outline
        mask = recipe.frame(scan).warp(np.ascontiguousarray(outline, np.float32), nearest=True) > 0
        looked += 1
        made += [twins.midline.symmetry for twins in [mirror_twins(recipe(scan), mask)] if twins is not None]
    # Of all 3,008 outlined glioma and meningioma scans 891 make twins.
    assert 0.2 < len(made) / looked < 0.4
    assert min(made) > MIN_SYMMETRY - 0.1


def test_a_sham_changes_neither_the_lesion_nor_its_mirror_image() -> None:
    picture, lesion = with_lesion(symmetric_head(2))
    picture = np.clip(picture + np.random.default_rng(0).integers(0, 20, picture.shape), 0, 255).astype(np.uint8)
    twins = mirror_twins(picture, lesion)
    assert twins is not None
    changed = mirror_sham(picture, lesion, twins.midline, np.random.default_rng(1))
    assert changed is not None
    differs = changed != picture
    assert differs.any()
    assert not (differs & (lesion | opposite(lesion, twins.midline))).any()
    assert differs.sum() < 3 * (feathered(lesion) > 0).sum()


@pytest.mark.parametrize("by", [1, 2, 4, 10])
def test_a_region_is_widened_as_by_a_square_maximum(by: int) -> None:
    region = np.random.default_rng(by).random((61, 47)) > 0.99
    region[[0, -1], [0, -1]] = True
    square = Image.fromarray(region.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * by + 1))
    assert np.array_equal(widened(region, by), np.asarray(square) > 0)
