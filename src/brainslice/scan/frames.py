"""Which picture of a file is meant, where it holds several."""

from __future__ import annotations

from brainslice.errors import UnreadableScanError
from brainslice.scan.input_problem import InputProblem, InputProblemError


def frame_index(frame: int | None, count: int, name: str = "frames", *, volume: bool = True) -> int:
    """Find the picture that is meant, without guessing.

    Args:
        frame: Its number from 1, or None where nobody chose.
        count: How many there are.
        name: What they are called.
        volume: Whether they may be one volume, which can be judged as a whole.

    Returns:
        Its number from 0.

    Raises:
        UnreadableScanError: There are several and nobody chose, or there is no such picture.
    """
    if frame is None and count > 1:
        whole = "judge them all with `brainslice predict-volume`, or one of them with" if volume else "choose one with"
        fault, remedy = f"holds {count} {name} where one slice was expected", f"{whole} `brainslice predict --frame N`"
        raise InputProblemError(InputProblem.SEVERAL_FRAMES, fault, remedy, {"frames": count, "volume": volume})
    if frame is not None and not 1 <= frame <= count:
        msg = f"frame must be 1 to {count}, got {frame}; choose another number"
        raise UnreadableScanError(msg)
    return (frame or 1) - 1
