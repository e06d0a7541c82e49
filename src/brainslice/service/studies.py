"""The cache of studies for viewers, in memory only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from brainslice.scan import Slice, Volume
from brainslice.service.problems import ErrorCode, FieldError, ProblemError
from brainslice.service.settings import Limits

_ID_BYTES = 24


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A volume with the name of its upload.

    Attributes:
        name: The name in predictions.
        volume: The volume.
        slices: The number of axial slices.
    """

    name: str
    volume: Volume
    slices: int

    def slice_at(self, number: int) -> Slice:
        """Return an axial slice by its number, from 1, inferior to superior.

        Raises:
            ProblemError: There is no such slice.
            UnreadableScanError: The volume cannot be resampled to axial slices.
        """
        if not 1 <= number <= self.slices:
            fault = f"must be 1 to {self.slices}, got {number}"
            raise ProblemError(ErrorCode.BAD_VALUE, f"the slice {fault}", [FieldError("number", fault)])
        return self.volume.axial_slice(number - 1)


class StudyCache:
    """A least-recently-used cache of studies with expiry, under random ids."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._kept: dict[str, tuple[float, Study]] = {}

    def add(self, study: Study) -> str:
        """Add a study, delete the least recently used ones beyond the limits, and return its id.

        Raises:
            ProblemError: The study is larger than the cache.
        """
        if study.volume.voxels.nbytes > self._limits.study_bytes:
            detail = f"a study must take at most {self._limits.study_bytes:,} bytes, got more; send fewer slices"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self.delete_expired()
        name = secrets.token_urlsafe(_ID_BYTES)
        self._kept[name] = (self._clock(), study)
        while len(self._kept) > self._limits.studies or self._bytes() > self._limits.study_bytes:
            del self._kept[next(iter(self._kept))]
        return name

    def get(self, name: str) -> Study:
        """Return a study and renew its expiry.

        Raises:
            ProblemError: There is no such study.
        """
        self.delete_expired()
        if name not in self._kept:
            raise ProblemError(ErrorCode.UNKNOWN_VOLUME, "the study is no longer kept; send its files again")
        _, study = self._kept.pop(name)
        self._kept[name] = (self._clock(), study)
        return study

    def delete(self, name: str) -> None:
        """Delete a study, if it exists."""
        self._kept.pop(name, None)

    def delete_expired(self) -> None:
        """Delete expired studies."""
        oldest = self._clock() - self._limits.study_seconds
        self._kept = {name: kept for name, kept in self._kept.items() if kept[0] >= oldest}

    def _bytes(self) -> int:
        return sum(study.volume.voxels.nbytes for _, study in self._kept.values())
