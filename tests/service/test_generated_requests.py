"""Requests generated from the service's own OpenAPI document (Schemathesis), for every operation."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from brainslice.service.problems import PROBLEM_TYPE, ErrorCode
from brainslice.service.routes import router
from brainslice.service.settings import Limits
from hospital import nifti
from scan_formats import FORMATS
from served import serving, write_stand_in

OPERATIONS = [f"{method} {route.path}" for route in router.routes for method in sorted(route.methods)]
# The time limit of a request, which the service keeps.
SECONDS = Limits().answer_seconds
SLICES = 12
ERRORS = {fault.status for fault in ErrorCode if fault.status < 500}
STUDY = nifti(np.random.default_rng(6).integers(0, 900, (40, 40, SLICES)).astype(np.int16))
SCANS = st.sampled_from([STUDY, FORMATS["PNG"]]) | st.sampled_from(list(FORMATS.values()))
HEADERS = st.dictionaries(
    st.sampled_from(("Accept", "Content-Type", "Cookie", "Origin", "Range", "Sec-Fetch-Site", "X-Forwarded-Host")),
    st.sampled_from(("", "*/*", "multipart/form-data", "null", "cross-site", "bytes=0-", "application/json"))
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.strip),
    max_size=1,
)


class Service:
    """A running service and its operations."""

    def __init__(self, url: str) -> None:
        self.url, self.schema = url, schemathesis.openapi.from_url(f"{url}openapi.json")

    def new_study(self) -> str:
        """Post a study, and return its identifier."""
        answer = requests.post(f"{self.url}volume", files={"files": STUDY}, timeout=SECONDS)
        return str(answer.json()["viewer"]["id"])

    def requests_of(self, operation: str) -> st.SearchStrategy[schemathesis.Case]:
        """Generate valid requests of an operation, and invalid ones where it takes anything."""
        method, path = operation.split()
        found = self.schema[path][method]
        valid = found.as_strategy(generation_mode=GenerationMode.POSITIVE)
        if not (found.path_parameters or found.query or found.body):
            return valid
        return valid | found.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(write_stand_in(tmp_path_factory.mktemp("served")).folder, "--threads", "1") as url:
        yield Service(url)


def make_realistic(case: schemathesis.Case, data: st.DataObject, service: Service) -> None:
    """Replace, in half of the requests, generated texts by scans, and identifiers by those of a study."""
    if not data.draw(st.booleans()):
        return
    if isinstance(case.body, dict):
        several = data.draw(st.lists(SCANS, min_size=1, max_size=3))
        case.body = {"file": several[0], "files": several}
        case.query = data.draw(st.sampled_from(({}, case.query)))
    elif case.path_parameters:
        case.path_parameters |= {"study_id": service.new_study(), "number": data.draw(st.integers(1, SLICES + 1))}


def check_error(response: Any) -> None:  # noqa: ANN401 - of Schemathesis
    """Check that an error is JSON with one line of what to do."""
    assert response.status_code in ERRORS
    assert response.headers["content-type"] == [PROBLEM_TYPE]
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"].strip()
    assert len(problem["detail"].splitlines()) == 1
    assert len(problem["detail"]) < 1000


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow_only)])
def test_generated_requests_get_documented_answers(service: Service, operation: str, count: int) -> None:
    found, success = Counter[int](), 204 if operation.startswith("DELETE") else 200

    @settings(max_examples=count, database=None)
    @given(service.requests_of(operation), HEADERS, st.data())
    def run(case: schemathesis.Case, headers: dict[str, str], data: st.DataObject) -> None:
        make_realistic(case, data, service)
        response = case.call(headers=headers, timeout=SECONDS)
        found[response.status_code] += 1
        if response.status_code != success:
            check_error(response)
        case.validate_response(response, checks=[content_type_conformance, response_schema_conformance])

    run()
    sys.stdout.write(f"{operation}: {sum(found.values())} requests, {dict(sorted(found.items()))}\n")
    assert found[success]
