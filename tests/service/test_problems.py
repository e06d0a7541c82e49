from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from brainslice.service.problems import ErrorCode, FieldError, ProblemError, problem_response
from hospital import SAGITTAL, head, image, nifti, slice_at, written


@pytest.mark.parametrize("fault", list(ErrorCode))
def test_every_problem_has_the_same_shape(fault: ErrorCode) -> None:
    response = problem_response(ProblemError(fault, "what; what to do"))
    told = json.loads(response.body)
    assert response.media_type == "application/problem+json"
    assert set(told) == {"type", "title", "status", "code", "detail"}
    assert told["status"] == response.status_code == fault.status
    assert told["type"] == "about:blank"
    assert (response.status_code in {429, 503}) == ("retry-after" in response.headers)


def test_error_codes_are_unique() -> None:
    codes = [fault.code for fault in ErrorCode]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


def test_invalid_parameters_are_listed() -> None:
    response = problem_response(
        ProblemError(ErrorCode.BAD_VALUE, "two", [FieldError("a", "is"), FieldError("b", "was")])
    )
    assert json.loads(response.body)["errors"] == [{"field": "a", "message": "is"}, {"field": "b", "message": "was"}]


def test_surrogates_in_names_are_escaped() -> None:
    response = problem_response(ProblemError(ErrorCode.UNREADABLE_SCAN, "a\udcff.png"))
    assert json.loads(response.body)["detail"] == "a\udcff.png"


HEAD = head(9)
FRAMES = written(image(HEAD))


def placed(heights: list[float], **elements: object) -> list[bytes]:
    return [slice_at(HEAD[at], height, **elements) for at, height in enumerate(heights)]


def refused(client: TestClient, address: str, *data: bytes) -> dict[str, Any]:
    field = "file" if address.startswith("/explain") else "files"
    answer = client.post(address, files=[(field, (f"{number}.dcm", each)) for number, each in enumerate(data)])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    return dict(answer.json())


@pytest.mark.parametrize(
    ("code", "address", "data"),
    [
        ("several_frames", "/explain", [FRAMES]),
        ("several_series", "/volume", [*placed([0, 2, 4]), *placed([0, 2, 4], directions=SAGITTAL)]),
        ("several_volumes", "/volume", placed([0, 2, 4, 4])),
        ("several_volumes", "/volume", [nifti(np.stack([HEAD, HEAD], 3))]),
        ("no_series", "/volume", [FRAMES]),
        ("not_axial", "/volume", placed([0, 6, 12], directions=SAGITTAL)),
        ("no_volume", "/volume", [b"GIF89a"]),
    ],
)
def test_refusals_have_a_code_and_a_remedy_over_http(
    client: TestClient, code: str, address: str, data: list[bytes]
) -> None:
    problem = refused(client, address, *data)
    assert problem["code"] == "unreadable_scan"
    assert problem["input_problem"]["code"] == code
    assert problem["detail"].startswith(("0.dcm: ", f"{len(data)} files: "))
    fault, remedy = problem["detail"].split("; ", 1)
    assert fault
    assert "/explain" in remedy or "/volume" in remedy
    assert "brainslice" not in problem["detail"]
    assert "--" not in problem["detail"]


def test_refusal_names_the_number_of_frames(client: TestClient) -> None:
    told = refused(client, "/explain?format=json", FRAMES)["input_problem"]
    assert told == {"code": "several_frames", "frames": 9, "volume": True}
    for number, status in ((9, 200), (10, 422)):
        answer = client.post(f"/explain?format=json&slice={number}", files=[("file", ("a", FRAMES))])
        assert answer.status_code == status


def test_series_is_chosen_by_name(client: TestClient) -> None:
    data = [*placed([0.0, 2.0, 4.0, 6.0]), *placed([0.0, 2.0, 4.0], directions=SAGITTAL)]
    first, _ = refused(client, "/volume", *data)["input_problem"]["series"]
    assert (first["slices"], first["plane"]) == (4, "axial")
    files = [("files", (str(number), each)) for number, each in enumerate(data)]
    assert client.post(f"/volume?series={first['name']}", files=files).json()["total_slices"] == 4


def test_first_of_several_volumes_on_request(client: TestClient) -> None:
    files = [("files", (str(number), each)) for number, each in enumerate(placed([0.0, 2.0, 4.0, 4.0]))]
    assert client.post("/volume?first=true", files=files).json()["total_slices"] == 3


def test_refusal_rows_have_the_same_remedy(client: TestClient) -> None:
    (row,) = client.post("/predict", files=[("files", ("a.dcm", FRAMES))]).json()["predictions"]
    assert row["refused"].startswith("a.dcm: holds 9 frames")
    assert row["refused"].endswith("name one with /explain?slice=N, or send the file to /volume")


@pytest.mark.real
def test_refusals_of_real_files_name_no_command(client: TestClient, real_scans: Path) -> None:
    found = [path for name in ("enhanced", "single") for path in sorted((real_scans / "dicom" / name).iterdir())]
    details = []
    for path in [*found, *sorted((real_scans / "nifti" / "odd").iterdir())]:
        upload = (path.name, path.read_bytes())
        for address, field in (("/explain?format=json", "file"), ("/volume", "files")):
            details.append(str(client.post(address, files=[(field, upload)]).json().get("detail", "")))
    assert not [detail for detail in details if "brainslice" in detail or "--" in detail]
    assert len([detail for detail in details if detail]) > 20
