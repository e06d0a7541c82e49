from __future__ import annotations

import numpy as np
import pytest

from brainslice.scan.types import Volume
from brainslice.scan.volume.orientation import Plane
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits
from brainslice.service.studies import Study, StudyCache


def study(name: str = "a", slices: int = 4, side: int = 10) -> Study:
    voxels = np.arange(slices * side * side, dtype=np.float32).reshape(slices, side, side)
    volume = Volume(voxels, (1.0, 1.0, 1.0), Plane.AXIAL, 0.0, evenly_spaced=True, digest="0" * 64)
    return Study(name, volume, slices)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def is_kept(studies: StudyCache, name: str) -> bool:
    try:
        studies.get(name)
    except ProblemError as error:
        return error.fault is not ErrorCode.UNKNOWN_VOLUME
    return True


def test_slices_are_counted_from_one_upwards() -> None:
    found = study()
    np.testing.assert_array_equal(found.slice_at(1).pixels, found.volume.voxels[0])
    np.testing.assert_array_equal(found.slice_at(4).pixels, found.volume.voxels[3])
    for number in (0, 5):
        with pytest.raises(ProblemError) as caught:
            found.slice_at(number)
        assert caught.value.fault is ErrorCode.BAD_VALUE


def test_ids_are_long_and_unique() -> None:
    studies = StudyCache(Limits())
    names = {studies.add(study()) for _ in range(4)}
    assert len(names) == 4
    assert min(map(len, names)) >= 32


def test_least_recently_used_study_is_deleted_first() -> None:
    studies = StudyCache(Limits(studies=2))
    first, second = studies.add(study("a")), studies.add(study("b"))
    studies.get(first)
    third = studies.add(study("c"))
    assert [is_kept(studies, name) for name in (first, second, third)] == [True, False, True]


def test_studies_beyond_the_memory_limit_are_deleted() -> None:
    size = study().volume.voxels.nbytes
    studies = StudyCache(Limits(study_bytes=2 * size))
    names = [studies.add(study()) for _ in range(3)]
    assert [is_kept(studies, name) for name in names] == [False, True, True]
    with pytest.raises(ProblemError) as caught:
        studies.add(study(slices=9))
    assert caught.value.fault is ErrorCode.TOO_LARGE


def test_studies_expire_after_their_last_use() -> None:
    clock = Clock()
    studies = StudyCache(Limits(study_seconds=100.0), clock)
    name = studies.add(study())
    clock.now = 90.0
    assert is_kept(studies, name)
    clock.now = 180.0
    assert is_kept(studies, name)
    clock.now = 281.0
    assert not is_kept(studies, name)


def test_deleting_a_study_twice() -> None:
    studies = StudyCache(Limits())
    name = studies.add(study())
    studies.delete(name)
    studies.delete(name)
    assert not is_kept(studies, name)
