"""A scan that can be judged, but not as it was asked for: each door offers the other way in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from brainslice.errors import UnreadableScanError


class InputProblem(StrEnum):
    """What stands between a scan and its answer."""

    SEVERAL_FRAMES = "several_frames"
    SEVERAL_SERIES = "several_series"
    SEVERAL_VOLUMES = "several_volumes"
    NO_SERIES = "no_series"
    NOT_AXIAL = "not_axial"
    NO_VOLUME = "no_volume"


def format_series(facts: Mapping[str, Any]) -> str:
    """Describe a series, told in plain types, for somebody who has to choose."""
    return "{name} ({slices} x {rows} x {columns}, {plane})".format(**facts)


class InputProblemError(UnreadableScanError):
    """A scan was asked for in a way in which it cannot be read.

    Attributes:
        code: What stands in the way.
        fault: The same in words, without any remedy.
        facts: What there is to choose from, in plain types.
    """

    def __init__(self, code: InputProblem, fault: str, remedy: str, facts: Mapping[str, Any] | None = None) -> None:
        """Say what stands in the way, and what to do about it on the command line."""
        super().__init__(f"{fault}; {remedy}")
        self.code = code
        self.fault = fault
        self._remedy = remedy
        self.facts = dict(facts or {})

    def __reduce__(self) -> tuple[type[InputProblemError], tuple[Any, ...]]:
        """Pickle it whole, as decoder processes need."""
        return type(self), (self.code, self.fault, self._remedy, self.facts)
