"""Errors about scans that need another command or option; each interface words its own remedy."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from brainslice.errors import UnreadableScanError


class InputProblem(StrEnum):
    """Reasons why a scan cannot be predicted as requested."""

    SEVERAL_FRAMES = "several_frames"
    SEVERAL_SERIES = "several_series"
    SEVERAL_VOLUMES = "several_volumes"
    NO_SERIES = "no_series"
    NOT_AXIAL = "not_axial"
    NO_VOLUME = "no_volume"


def format_series(details: Mapping[str, Any]) -> str:
    """Describe a series in a line, for a choice between several."""
    return "{name} ({slices} x {rows} x {columns}, {plane})".format(**details)


class InputProblemError(UnreadableScanError):
    """A scan cannot be read as requested.

    Attributes:
        code: The reason.
        fault: The reason in words, without a remedy.
        details: The choices, as plain types.
    """

    def __init__(self, code: InputProblem, fault: str, remedy: str, details: Mapping[str, Any] | None = None) -> None:
        """Join the reason and the remedy on the command line."""
        super().__init__(f"{fault}; {remedy}")
        self.code = code
        self.fault = fault
        self._remedy = remedy
        self.details = dict(details or {})

    def __reduce__(self) -> tuple[type[InputProblemError], tuple[Any, ...]]:
        """Pickle all arguments, as decoder processes need."""
        return type(self), (self.code, self.fault, self._remedy, self.details)


def frame_index(frame: int | None, count: int, name: str = "frames", *, volume: bool = True) -> int:
    """Return the index of the chosen frame; none is chosen by default where there are several.

    Args:
        frame: Its number from 1, or None.
        count: The number of frames.
        name: Their name in messages.
        volume: Whether they may form a volume.

    Returns:
        The index from 0.

    Raises:
        UnreadableScanError: There are several and none was chosen, or the number is out of range.
    """
    if frame is None and count > 1:
        whole = "predict them with `brainslice predict-volume`, or one of them with" if volume else "choose one with"
        fault, remedy = f"holds {count} {name} where one slice was expected", f"{whole} `brainslice predict --frame N`"
        raise InputProblemError(InputProblem.SEVERAL_FRAMES, fault, remedy, {"frames": count, "volume": volume})
    if frame is not None and not 1 <= frame <= count:
        msg = f"frame must be 1 to {count}, got {frame}; choose another number"
        raise UnreadableScanError(msg)
    return (frame or 1) - 1
