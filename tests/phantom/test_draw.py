from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.phantom import KINDS, draw_phantom

NUMBERS = st.integers(0, 1000)


def test_the_kinds_are_the_default_classes_in_their_order() -> None:
    assert LabelSet().names == KINDS


@given(st.sampled_from(KINDS), NUMBERS, NUMBERS, NUMBERS)
def test_only_tumours_have_a_mask_and_it_marks_something_bright(
    kind: str, patient: int, slice_number: int, seed: int
) -> None:
    phantom = draw_phantom(kind, patient, slice_number, seed)
    side = phantom.pixels.shape[0]
    assert phantom.pixels.shape == phantom.mask.shape == (side, side)
    assert 180 <= side <= 320
    assert phantom.mask.any() == (kind != "no_tumor")
    if kind != "no_tumor":
        assert 0.002 < phantom.mask.mean() < 0.12
        assert np.percentile(phantom.pixels[phantom.mask], 80) > 1.15 * np.median(phantom.pixels[phantom.pixels > 30])


@settings(max_examples=10)
@given(st.sampled_from(KINDS), NUMBERS, NUMBERS)
def test_the_same_arguments_give_the_same_picture(kind: str, patient: int, seed: int) -> None:
    first, second = (draw_phantom(kind, patient, 2, seed) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize(
    "others", [("no_tumor", 8, 0, 1), ("no_tumor", 7, 1, 1), ("no_tumor", 7, 0, 2), ("glioma", 7, 0, 1)]
)
def test_another_argument_gives_another_picture(others: tuple[str, int, int, int]) -> None:
    first, second = draw_phantom("no_tumor", 7, 0, 1).pixels, draw_phantom(*others).pixels
    assert first.shape != second.shape or (first != second).any()


def test_neighbouring_slices_of_a_head_look_alike_and_other_heads_do_not() -> None:
    alike = [
        np.corrcoef(draw_phantom(kind, patient, 0, 1).pixels.ravel(), draw_phantom(kind, patient, 1, 1).pixels.ravel())[
            0, 1
        ]
        for kind in KINDS
        for patient in range(3)
    ]
    assert np.median(alike) > 0.9
    shapes = {draw_phantom("glioma", patient, 0, 1).pixels.shape for patient in range(10)}
    assert len(shapes) > 5


@pytest.mark.parametrize(("kind", "numbers"), [("tumour", (0, 0, 0)), ("glioma", (-1, 0, 0)), ("glioma", (0, 0, -1))])
def test_what_cannot_be_drawn_is_refused(kind: str, numbers: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="must be one of"):
        draw_phantom(kind, *numbers)
