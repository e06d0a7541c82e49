from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from brainslice.phantom.anatomy import BRAINS, Tissues, draw_head
from brainslice.phantom.shapes import GRID, Canvas, Field, Plane, smooth_noise

TISSUES = Tissues(fat=0.9, bone=0.05, fluid=0.1, grey=0.4, white=0.6, lesion=1.0)


@pytest.fixture(params=list(Plane))
def canvas(request: pytest.FixtureRequest) -> Canvas:
    plane = Plane(request.param)
    brain = BRAINS[plane]
    ticks = np.linspace(-1.0, 1.0, GRID, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    rng = np.random.default_rng(3)
    depth = np.hypot((x - brain.x) / brain.across, (y - brain.y) / brain.down)
    return Canvas(plane, x, y, brain, depth, smooth_noise(rng, 6), smooth_noise(rng, 24))


@pytest.fixture
def head(canvas: Canvas) -> Field:
    return draw_head(canvas, TISSUES, swelling=1.0)


def middle(canvas: Canvas, picture: Field, where: Callable[[Canvas], Field]) -> float:
    """The median grey value above the brain's middle, where nothing but skull covers it."""
    upper = canvas.y < canvas.brain.y - 0.4 * canvas.brain.down
    return float(np.median(picture[where(canvas) & upper]))


def test_scalp_skull_and_brain_lie_in_this_order(canvas: Canvas, head: Field) -> None:
    scalp = middle(canvas, head, lambda drawn: np.abs(drawn.depth - 1.165) < 0.02)
    skull = middle(canvas, head, lambda drawn: np.abs(drawn.depth - 1.055) < 0.01)
    brain = middle(canvas, head, lambda drawn: drawn.depth < 0.9)
    assert scalp == pytest.approx(TISSUES.fat, abs=0.15)
    assert skull < 0.25
    assert TISSUES.grey - 0.1 < brain < TISSUES.white + 0.1


def test_there_is_only_air_above_the_head(canvas: Canvas, head: Field) -> None:
    assert not head[(canvas.depth > 1.25) & (canvas.y < canvas.brain.y - 0.3)].any()


def test_axial_cuts_have_no_face_and_the_others_reach_the_lower_border(canvas: Canvas, head: Field) -> None:
    assert bool(head[-1].any()) == (canvas.plane is not Plane.AXIAL)


def test_swollen_ventricles_hold_more_fluid(canvas: Canvas) -> None:
    fluid = TISSUES.fluid
    inner = canvas.depth < 0.55
    narrow, wide = (draw_head(canvas, TISSUES, swelling) for swelling in (0.6, 1.4))
    assert np.sum(np.abs(wide[inner] - fluid) < 0.05) > 1.3 * np.sum(np.abs(narrow[inner] - fluid) < 0.05)


def test_a_healthy_head_stays_within_the_range_of_its_tissues(head: Field) -> None:
    assert head.min() >= 0.0
    assert head.max() <= 1.15
