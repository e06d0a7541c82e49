from __future__ import annotations

import numpy as np
import pytest

from brainslice.scan.orientation import Plane
from brainslice.scan.types import Volume
from brainslice.serve.problems import Fault, ProblemError
from brainslice.serve.settings import Limits
from brainslice.serve.studies import Studies, Study


def study(name: str = "a", slices: int = 4, side: int = 10) -> Study:
    voxels = np.arange(slices * side * side, dtype=np.float32).reshape(slices, side, side)
    volume = Volume(voxels, (1.0, 1.0, 1.0), Plane.AXIAL, 0.0, even=True, digest="0" * 64)
    return Study(name, volume, slices)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def is_kept(studies: Studies, name: str) -> bool:
    try:
        studies.look_at(name)
    except ProblemError as error:
        return error.fault is not Fault.UNKNOWN_VOLUME
    return True


def test_slices_are_counted_from_one_upwards() -> None:
    found = study()
    np.testing.assert_array_equal(found.slice_at(1).pixels, found.volume.voxels[0])
    np.testing.assert_array_equal(found.slice_at(4).pixels, found.volume.voxels[3])
    for number in (0, 5):
        with pytest.raises(ProblemError) as caught:
            found.slice_at(number)
        assert caught.value.fault is Fault.BAD_VALUE


def test_ids_are_long_and_never_the_same() -> None:
    studies = Studies(Limits())
    names = {studies.keep(study()) for _ in range(4)}
    assert len(names) == 4
    assert min(map(len, names)) >= 32


def test_the_study_least_lately_looked_at_goes_first() -> None:
    studies = Studies(Limits(studies=2))
    first, second = studies.keep(study("a")), studies.keep(study("b"))
    studies.look_at(first)
    third = studies.keep(study("c"))
    assert [is_kept(studies, name) for name in (first, second, third)] == [True, False, True]


def test_studies_that_fill_the_memory_set_aside_go() -> None:
    size = study().volume.voxels.nbytes
    studies = Studies(Limits(study_bytes=2 * size))
    names = [studies.keep(study()) for _ in range(3)]
    assert [is_kept(studies, name) for name in names] == [False, True, True]
    with pytest.raises(ProblemError) as caught:
        studies.keep(study(slices=9))
    assert caught.value.fault is Fault.TOO_LARGE


def test_a_study_is_forgotten_a_while_after_the_last_look() -> None:
    clock = Clock()
    studies = Studies(Limits(study_seconds=100.0), clock)
    name = studies.keep(study())
    clock.now = 90.0
    assert is_kept(studies, name)
    clock.now = 180.0
    assert is_kept(studies, name)
    clock.now = 281.0
    assert not is_kept(studies, name)


def test_a_study_is_forgotten_when_told_and_twice_is_no_fault() -> None:
    studies = Studies(Limits())
    name = studies.keep(study())
    studies.forget(name)
    studies.forget(name)
    assert not is_kept(studies, name)
