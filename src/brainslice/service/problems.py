"""What is answered when something is wrong: one shape for every error, after RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

PROBLEM_TYPE: Final = "application/problem+json"

_RETRY_SECONDS: Final = 2
_PHRASES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


class ErrorCode(Enum):
    """Everything that can be wrong with a request or with us: status and code."""

    BAD_UPLOAD = (400, "bad_upload")
    TOKEN_NEEDED = (401, "token_needed")
    FOREIGN_HOST = (403, "foreign_host")
    CROSS_SITE = (403, "cross_site")
    NOT_FOUND = (404, "not_found")
    UNKNOWN_VOLUME = (404, "unknown_volume")
    WRONG_METHOD = (405, "wrong_method")
    SLOW_UPLOAD = (408, "slow_upload")
    TOO_LARGE = (413, "too_large")
    WRONG_TYPE = (415, "wrong_type")
    UNREADABLE_SCAN = (422, "unreadable_scan")
    BAD_VALUE = (422, "bad_value")
    BUSY = (429, "busy")
    BROKEN = (500, "broken")
    DRAINING = (503, "draining")
    OUT_OF_TIME = (503, "out_of_time")
    NO_ROOM = (503, "no_room")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def code(self) -> str:
        """The word by which programs tell it from others of its status."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one parameter.

    Attributes:
        field: The parameter's name.
        message: What is wrong with it.
    """

    field: str
    message: str


class ProblemError(Exception):
    """A request that cannot be answered, and why.

    Attributes:
        fault: Which kind of fault.
        detail: One line for a person, with what to do.
        errors: The parameters at fault, if that is what it is about.
        facts: What programs are told besides, in plain types.
    """

    def __init__(
        self, fault: ErrorCode, detail: str, errors: Sequence[FieldError] = (), facts: Mapping[str, Any] | None = None
    ) -> None:
        """Keep what is to be said."""
        super().__init__(fault.code)
        self.fault = fault
        self.detail = detail
        self.errors = tuple(errors)
        self.facts = dict(facts or {})


def problem_response(error: ProblemError, headers: Mapping[str, str] | None = None) -> Response:
    """Write a problem as the response it stands for.

    Args:
        error: What is wrong.
        headers: Headers it came with, such as the methods allowed.
    """
    fault = error.fault
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _PHRASES.get(fault.status) or HTTPStatus(fault.status).phrase,
        "status": fault.status,
        "code": fault.code,
        "detail": error.detail,
        **error.facts,
    }
    if error.errors:
        body["errors"] = [{"field": each.field, "message": each.message} for each in error.errors]
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(content, fault.status, {**_headers(fault), **(headers or {})}, PROBLEM_TYPE)


def _headers(fault: ErrorCode) -> dict[str, str]:
    if fault is ErrorCode.TOKEN_NEEDED:
        return {"WWW-Authenticate": "Bearer"}
    if fault in {ErrorCode.BUSY, ErrorCode.DRAINING, ErrorCode.OUT_OF_TIME, ErrorCode.NO_ROOM}:
        return {"Retry-After": str(_RETRY_SECONDS)}
    return {}
