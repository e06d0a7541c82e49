from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.inference.colormap import apply_colormap

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
def test_more_is_lighter_for_all_eyes(missing: str) -> None:
    lightness = oklab(table(64), missing)[:, 0]
    assert (np.diff(lightness) > 0).all()


def test_equal_steps_look_equally_large() -> None:
    steps = np.linalg.norm(np.diff(oklab(table(33)), axis=0), axis=1)
    assert steps.max() / steps.min() < 1.25


@pytest.mark.parametrize("missing", sorted(MISSING_CONES))
def test_no_two_of_nine_levels_look_alike_to_anyone(missing: str) -> None:
    levels = oklab(table(9), missing)
    apart = np.linalg.norm(levels[:, np.newaxis] - levels[np.newaxis], axis=-1)[~np.eye(9, dtype=bool)]
    assert apart.min() > 0.05


def test_the_strong_half_is_no_grey_that_anatomy_could_be_taken_for() -> None:
    colours = table()[64:230].astype(int)
    assert (colours.max(axis=1) - colours.min(axis=1)).min() > 90


@given(st.floats(-1e6, 1e6, width=32))
def test_levels_beyond_the_ends_take_the_colours_of_the_ends(level: float) -> None:
    shown = apply_colormap(np.array([[level]], dtype=np.float32))
    expected = apply_colormap(np.clip(np.array([[level]], dtype=np.float32), 0, 1))
    np.testing.assert_array_equal(shown, expected)
