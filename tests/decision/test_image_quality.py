from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.decision.image_quality import image_faults
from brainslice.decision.verdict import Reason
from brainslice.phantom import write_phantoms
from brainslice.preprocessing.recipe import Recipe
from brainslice.scan.read import read_scan

SIZE = 96
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
AWAY = np.hypot(ROWS - (SIZE - 1) / 2, COLUMNS - (SIZE - 1) / 2) / (SIZE / 2)


def grey(levels: np.ndarray) -> np.ndarray:
    return np.clip(255 * levels, 0, 255).astype(np.uint8)


def test_bright_head_on_black_has_no_fault() -> None:
    assert image_faults(grey(np.where(AWAY < 0.95, 0.6, 0.0))) == ()


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_picture_of_one_grey_is_flat(level: float) -> None:
    assert Reason.FLAT in image_faults(grey(np.full((SIZE, SIZE), level)))


def test_text_on_white_paper_has_no_dark_background() -> None:
    page = np.where(np.random.default_rng(0).random((SIZE, SIZE)) < 0.2, 0.0, 1.0)
    assert Reason.NO_BACKGROUND in image_faults(grey(page))


def test_texture_over_the_whole_image_has_no_head() -> None:
    texture = np.random.default_rng(0).random((SIZE, SIZE))
    assert Reason.NO_HEAD in image_faults(grey(texture))


def test_a_negative_of_a_head_has_neither_background_nor_head() -> None:
    faults = image_faults(grey(np.where(AWAY < 0.95, 0.2, 1.0)))
    assert {Reason.NO_BACKGROUND, Reason.NO_HEAD} <= set(faults)


@pytest.mark.parametrize("shape", [(SIZE, SIZE), (64, 64), (41, 80)])
def test_images_of_any_shape(shape: tuple[int, int]) -> None:
    assert Reason.FLAT in image_faults(np.zeros(shape, dtype=np.uint8))


def test_drawn_heads_have_no_fault(tmp_path: Path) -> None:
    write_phantoms(tmp_path, patients_per_class=4, slices=2, seed=5)
    recipe = Recipe(size=SIZE)
    paths = sorted(tmp_path.rglob("*.png")) + sorted(tmp_path.rglob("*.jpg"))
    assert len(paths) >= 32
    assert [path.name for path in paths if image_faults(recipe(read_scan(path)))] == []


@pytest.mark.real
def test_real_scans_have_no_fault(real_scans: Path) -> None:
    recipe = Recipe()
    paths = sorted((real_scans / "nickparvar").rglob("*.jpg"))[::100]
    assert len(paths) > 50
    assert [path.name for path in paths if image_faults(recipe(read_scan(path)))] == []
