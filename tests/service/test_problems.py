from __future__ import annotations

import json

import pytest

from brainslice.service.problems import ErrorCode, FieldError, ProblemError, problem_response


@pytest.mark.parametrize("fault", list(ErrorCode))
def test_every_fault_is_told_in_one_shape(fault: ErrorCode) -> None:
    response = problem_response(ProblemError(fault, "what; what to do"))
    told = json.loads(response.body)
    assert response.media_type == "application/problem+json"
    assert set(told) == {"type", "title", "status", "code", "detail"}
    assert told["status"] == response.status_code == fault.status
    assert told["type"] == "about:blank"
    assert (response.status_code in {429, 503}) == ("retry-after" in response.headers)


def test_codes_are_words_of_their_own() -> None:
    codes = [fault.code for fault in ErrorCode]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


def test_parameters_at_fault_are_listed() -> None:
    response = problem_response(
        ProblemError(ErrorCode.BAD_VALUE, "two", [FieldError("a", "is"), FieldError("b", "was")])
    )
    assert json.loads(response.body)["errors"] == [{"field": "a", "message": "is"}, {"field": "b", "message": "was"}]


def test_a_name_that_is_no_unicode_does_not_break_the_answer() -> None:
    response = problem_response(ProblemError(ErrorCode.UNREADABLE_SCAN, "a\udcff.png"))
    assert json.loads(response.body)["detail"] == "a\udcff.png"
