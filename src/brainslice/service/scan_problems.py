"""A scan that is refused, in words that fit this door: no advice about a command line to who asked over HTTP."""

from __future__ import annotations

from typing import Final

from brainslice.errors import UnreadableScanError
from brainslice.scan.input_problem import InputProblem, InputProblemError, format_series
from brainslice.service.problems import ErrorCode, ProblemError

_WAYS: Final = {
    InputProblem.SEVERAL_FRAMES: "name one with /explain?slice=N",
    InputProblem.SEVERAL_SERIES: "name one with /volume?series=NAME",
    InputProblem.SEVERAL_VOLUMES: "/volume?first=true takes the first of each place",
    InputProblem.NO_SERIES: "send its slices to /explain one by one",
    InputProblem.NOT_AXIAL: "send an axial series, or single slices to /explain",
    InputProblem.NO_VOLUME: "send pictures to /explain",
}


def refusal_message(error: UnreadableScanError) -> str:
    """Say why a scan is refused, and what its sender can do about it."""
    unfit = _unfit_in(error)
    if unfit is None:
        return str(error)
    # Those on the way out put the file's name in front.
    name = str(error).removesuffix(str(unfit))
    return f"{name}{unfit.fault}; {_way_on(unfit)}"


def refusal_problem(error: UnreadableScanError) -> ProblemError:
    """Make the problem that answers for a scan that is refused, with what there is to choose from."""
    unfit = _unfit_in(error)
    facts = {} if unfit is None else {"input_problem": {"code": unfit.code.value, **unfit.facts}}
    return ProblemError(ErrorCode.UNREADABLE_SCAN, refusal_message(error), facts=facts)


def _unfit_in(error: BaseException | None) -> InputProblemError | None:
    while error is not None and not isinstance(error, InputProblemError):
        error = error.__cause__
    return error


def _way_on(unfit: InputProblemError) -> str:
    way, facts = _WAYS[unfit.code], unfit.facts
    if facts.get("volume"):
        return f"{way}, or send the file to /volume"
    return f"{way}: {', '.join(map(format_series, facts['series']))}" if "series" in facts else way
