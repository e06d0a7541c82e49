"""Problem responses (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from brainslice.errors import UnreadableScanError
from brainslice.scan import InputProblem, InputProblemError, format_series

PROBLEM_TYPE: Final = "application/problem+json"

STOPPING: Final = "the service is stopping; try again later"

_RETRY_SECONDS: Final = 2
_PHRASES: Final = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
_REMEDIES: Final = {
    InputProblem.SEVERAL_FRAMES: "name one with /explain?slice=N",
    InputProblem.SEVERAL_SERIES: "name one with /volume?series=NAME",
    InputProblem.SEVERAL_VOLUMES: "/volume?first=true takes the first of each place",
    InputProblem.NO_SERIES: "send its slices to /explain one by one",
    InputProblem.NOT_AXIAL: "send an axial series, or single slices to /explain",
    InputProblem.NO_VOLUME: "send pictures to /explain",
}


class ErrorCode(Enum):
    """The errors of requests and of the service: HTTP status and code."""

    BAD_UPLOAD = (400, "bad_upload")
    TOKEN_NEEDED = (401, "token_needed")
    FOREIGN_HOST = (403, "foreign_host")
    CROSS_SITE = (403, "cross_site")
    NOT_FOUND = (404, "not_found")
    UNKNOWN_VOLUME = (404, "unknown_volume")
    WRONG_METHOD = (405, "wrong_method")
    SLOW_UPLOAD = (408, "slow_upload")
    TOO_LARGE = (413, "too_large")
    URL_TOO_LONG = (414, "url_too_long")
    WRONG_TYPE = (415, "wrong_type")
    UNREADABLE_SCAN = (422, "unreadable_scan")
    BAD_VALUE = (422, "bad_value")
    BUSY = (429, "busy")
    HEADERS_TOO_LARGE = (431, "headers_too_large")
    BROKEN = (500, "broken")
    DRAINING = (503, "draining")
    OUT_OF_TIME = (503, "out_of_time")
    NO_ROOM = (503, "no_room")
    FULL = (503, "full")
    NOT_WORKING = (503, "not_working")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def code(self) -> str:
        """The code in responses."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class FieldError:
    """An invalid parameter.

    Attributes:
        field: The name of the parameter.
        message: What is wrong.
    """

    field: str
    message: str


class ProblemError(Exception):
    """An error that is sent as a problem response.

    Attributes:
        fault: The error code.
        phrase: The reason phrase of the status.
        detail: What is wrong and what to do, in one line.
        errors: The invalid parameters.
        members: Further members of the response, as plain types.
    """

    def __init__(
        self,
        fault: ErrorCode,
        detail: str,
        errors: Sequence[FieldError] = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(fault.code)
        self.phrase = _PHRASES.get(fault.status) or HTTPStatus(fault.status).phrase
        self.fault = fault
        self.detail = detail
        self.errors = tuple(errors)
        self.members = dict(members or {})


def problem_response(error: ProblemError, headers: Mapping[str, str] | None = None) -> Response:
    """Make the response of a problem, with further headers."""
    fault = error.fault
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.phrase,
        "status": fault.status,
        "code": fault.code,
        "detail": error.detail,
        **error.members,
    }
    if error.errors:
        body["errors"] = [{"field": each.field, "message": each.message} for each in error.errors]
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(content, fault.status, {**_headers(fault), **(headers or {})}, PROBLEM_TYPE)


def _headers(fault: ErrorCode) -> dict[str, str]:
    if fault is ErrorCode.TOKEN_NEEDED:
        return {"WWW-Authenticate": "Bearer"}
    if fault is ErrorCode.BUSY or fault.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(_RETRY_SECONDS)}
    return {}


def refusal_message(error: UnreadableScanError) -> str:
    """Return the reason of a refusal, with a remedy over HTTP instead of that of the command line."""
    cause = _input_problem_of(error)
    if cause is None:
        return str(error)
    # Readers prepend the file name.
    name = str(error).removesuffix(str(cause))
    return f"{name}{cause.fault}; {_remedy(cause)}"


def refusal_problem(error: UnreadableScanError) -> ProblemError:
    """Return the problem of a refused scan, with the choices of frames or series."""
    cause = _input_problem_of(error)
    members = {} if cause is None else {"input_problem": {"code": cause.code.value, **cause.details}}
    return ProblemError(ErrorCode.UNREADABLE_SCAN, refusal_message(error), members=members)


def _input_problem_of(error: BaseException | None) -> InputProblemError | None:
    while error is not None and not isinstance(error, InputProblemError):
        error = error.__cause__
    return error


def _remedy(problem: InputProblemError) -> str:
    remedy, details = _REMEDIES[problem.code], problem.details
    if details.get("volume"):
        return f"{remedy}, or send the file to /volume"
    return f"{remedy}: {', '.join(map(format_series, details['series']))}" if "series" in details else remedy
