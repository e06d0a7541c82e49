from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from brainslice.errors import UsageError
from brainslice.evaluation.corruptions import CORRUPTIONS, SEVERITIES, Corruption, corrupt
from brainslice.phantom import draw_phantom
from brainslice.scan.types import Slice

KINDS = pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda each: each.name)


def drawn(patient: int) -> Slice:
    pixels = draw_phantom("glioma", patient, 0, 7).pixels.astype(np.float32)
    return Slice(pixels * 3 + 20, f"{patient + 1:064x}")


def middle(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    top, left = ((size - kept) // 2 for size, kept in zip(pixels.shape, shape, strict=True))
    return pixels[top : top + shape[0], left : left + shape[1]]


def distances(scan: Slice, corruption: Corruption) -> list[float]:
    """How far each severity is from the slice, in its middle."""
    changed = (corrupt(scan, corruption, severity, 3).pixels for severity in range(SEVERITIES + 1))
    return [float(np.sqrt(np.mean((middle(each, scan.pixels.shape) - scan.pixels) ** 2))) for each in changed]


@KINDS
@pytest.mark.parametrize("patient", range(4))
def test_each_severity_is_further_from_the_slice_than_the_one_before(corruption: Corruption, patient: int) -> None:
    found = distances(drawn(patient), corruption)
    assert found[0] == 0
    assert all(nearer < further for nearer, further in itertools.pairwise(found)), found


@KINDS
def test_a_change_is_the_same_every_time_and_keeps_the_range_of_grey_values(corruption: Corruption) -> None:
    scan = drawn(0)
    once, again = (corrupt(scan, corruption, SEVERITIES, 3) for _ in range(2))
    np.testing.assert_array_equal(once.pixels, again.pixels)
    assert scan.pixels.min() - 1e-3 <= once.pixels.min()
    assert once.pixels.max() <= scan.pixels.max() + 1e-3
    assert (once.digest, once.spacing) == (scan.digest, scan.spacing)


@KINDS
def test_pictures_of_one_grey_or_one_row_are_no_error(corruption: Corruption) -> None:
    flat = Slice(np.full((5, 3), 7, np.float32), "a")
    assert corrupt(flat, corruption, 5, 0) is flat
    row = Slice(np.linspace(0, 9, 40, dtype=np.float32)[np.newaxis], "b")
    assert np.isfinite(corrupt(row, corruption, 5, 0).pixels).all()


def test_chance_differs_between_seeds_slices_and_kinds() -> None:
    noise = next(each for each in CORRUPTIONS if each.name == "noise")
    scan = drawn(0)
    other = dataclasses.replace(scan, digest="ff")
    renamed = dataclasses.replace(noise, name="other")
    first = corrupt(scan, noise, 1, 3).pixels
    for pixels in (corrupt(scan, noise, 1, 4), corrupt(other, noise, 1, 3), corrupt(scan, renamed, 1, 3)):
        assert not np.array_equal(first, pixels.pixels)


def test_amounts_are_one_for_each_severity() -> None:
    assert {len(each.amounts) for each in CORRUPTIONS} == {SEVERITIES}
    assert len({each.name for each in CORRUPTIONS}) == len(CORRUPTIONS) == 10


def test_other_severities_are_refused() -> None:
    with pytest.raises(UsageError, match="severity must be 0 to 5, got 6"):
        corrupt(drawn(0), CORRUPTIONS[0], 6, 0)
