"""Studies that somebody is looking at, slice by slice: few of them, not for long, and in memory only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from brainslice.scan.types import Slice, Volume
from brainslice.service.problems import ErrorCode, FieldError, ProblemError
from brainslice.service.settings import Limits

_ID_BYTES = 24


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A volume under the name its sender gave it.

    Attributes:
        name: What its answers are called.
        volume: The voxels.
        slices: How many axial slices it has.
    """

    name: str
    volume: Volume
    slices: int

    def slice_at(self, number: int) -> Slice:
        """Cut one axial slice.

        Args:
            number: Which, from 1, inferior to superior.

        Raises:
            ProblemError: There is no such slice.
            UnreadableScanError: No axial slices can be cut from this volume.
        """
        if not 1 <= number <= self.slices:
            what = f"must be 1 to {self.slices}, got {number}"
            raise ProblemError(ErrorCode.BAD_VALUE, f"the slice {what}", [FieldError("number", what)])
        return self.volume.axial_slice(number - 1)


class StudyCache:
    """Keeps studies under ids nobody can guess, and forgets them: when told, after a while, or for newer ones."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with none.

        Args:
            limits: How many, how large all together, and for how long.
            clock: Tells the time in seconds.
        """
        self._limits = limits
        self._clock = clock
        self._kept: dict[str, tuple[float, Study]] = {}

    def add(self, study: Study) -> str:
        """Keep a study, and forget the ones least lately looked at where it needs their room.

        Returns:
            Its id.

        Raises:
            ProblemError: It is larger than all studies together may be.
        """
        if study.volume.voxels.nbytes > self._limits.study_bytes:
            detail = f"a study must take at most {self._limits.study_bytes:,} bytes, got more; send fewer slices"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self.forget_old()
        name = secrets.token_urlsafe(_ID_BYTES)
        self._kept[name] = (self._clock(), study)
        while len(self._kept) > self._limits.studies or self._bytes() > self._limits.study_bytes:
            del self._kept[next(iter(self._kept))]
        return name

    def get(self, name: str) -> Study:
        """Find a study, and keep it for a while longer.

        Raises:
            ProblemError: It was forgotten, or never there.
        """
        self.forget_old()
        if name not in self._kept:
            raise ProblemError(ErrorCode.UNKNOWN_VOLUME, "the study is no longer kept; send its files again")
        _, study = self._kept.pop(name)
        self._kept[name] = (self._clock(), study)
        return study

    def forget(self, name: str) -> None:
        """Forget a study now; one that is not there is forgotten already."""
        self._kept.pop(name, None)

    def forget_old(self) -> None:
        """Forget all that nobody looked at for a while."""
        oldest = self._clock() - self._limits.study_seconds
        self._kept = {name: kept for name, kept in self._kept.items() if kept[0] >= oldest}

    def _bytes(self) -> int:
        return sum(study.volume.voxels.nbytes for _, study in self._kept.values())
