from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.phantom.anatomy import BRAINS, Tissues
from brainslice.phantom.lesions import choose_position, draw_lesion
from brainslice.phantom.shapes import GRID, Canvas, Ellipse, Field, Plane, smooth_noise

TISSUES = Tissues(fat=0.9, bone=0.05, fluid=0.1, grey=0.4, white=0.6, lesion=1.0)


def canvas_of(plane: Plane) -> Canvas:
    brain = BRAINS[plane]
    ticks = np.linspace(-1.0, 1.0, GRID, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    depth = np.hypot((x - brain.x) / brain.across, (y - brain.y) / brain.down)
    rng = np.random.default_rng(3)
    return Canvas(plane, x, y, brain, depth, smooth_noise(rng, 6), smooth_noise(rng, 24))


def drawn(kind: str, plane: Plane, position: Ellipse) -> tuple[Canvas, Field, Field]:
    canvas = canvas_of(plane)
    picture = np.full((GRID, GRID), TISSUES.white, dtype=np.float32)
    return canvas, picture, draw_lesion(picture, canvas, TISSUES, kind, position)


@given(st.sampled_from(Plane), st.integers(0, 10_000))
def test_gliomas_sit_inside_the_brain_and_meningiomas_at_its_surface(plane: Plane, seed: int) -> None:
    inside, surface = (choose_position(kind, plane, np.random.default_rng(seed)) for kind in ("glioma", "meningioma"))
    assert np.hypot(inside.x, inside.y) < 0.6
    assert np.hypot(surface.x, surface.y) == pytest.approx(0.84)


@given(st.sampled_from(Plane), st.integers(0, 10_000))
def test_pituitary_tumours_are_small_and_in_the_midline(plane: Plane, seed: int) -> None:
    position, other = (choose_position(kind, plane, np.random.default_rng(seed)) for kind in ("pituitary", "glioma"))
    assert abs(position.x) < 0.3
    assert position.across * position.down < other.across * other.down
    if plane is not Plane.AXIAL:
        assert position.y > 0.8


@pytest.mark.parametrize("plane", list(Plane))
def test_a_glioma_is_a_bright_ring_around_a_dark_core(plane: Plane) -> None:
    _, picture, whole = drawn("glioma", plane, Ellipse(0.3, -0.3, 0.2, 0.2))
    inside = picture[whole > 0.9]
    assert np.percentile(inside, 90) > 0.9
    assert np.percentile(inside, 10) < 0.3
    rows, columns = np.nonzero(whole > 0.5)
    assert picture[round(rows.mean()), round(columns.mean())] < 0.4


@pytest.mark.parametrize("plane", list(Plane))
def test_a_meningioma_is_bright_throughout_and_flat_against_the_skull(plane: Plane) -> None:
    canvas, picture, whole = drawn("meningioma", plane, Ellipse(0.0, -0.84, 0.2, 0.2))
    assert np.median(picture[whole > 0.9]) > 0.85
    assert whole[canvas.depth > 1.1].max() == 0.0
    assert canvas.depth[whole > 0.5].max() > 1.0


def test_a_glioma_is_more_ragged_than_a_pituitary_tumour() -> None:
    def roundness(kind: str) -> float:
        mask = drawn(kind, Plane.AXIAL, Ellipse(0.0, -0.1, 0.2, 0.2))[2] > 0.5
        outline = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
        return float(mask.sum() / outline**2)

    assert roundness("glioma") < roundness("pituitary")


def test_a_healthy_head_stays_as_it_is() -> None:
    _, picture, whole = drawn("no_tumor", Plane.AXIAL, Ellipse(0.0, 0.0, 0.2, 0.2))
    assert not whole.any()
    assert (picture == np.float32(TISSUES.white)).all()
