from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from starlette.testclient import TestClient

from brainslice.inference.predictor import Predictor
from brainslice.inference.volume import predict_volume
from brainslice.scan.volume.reader import decode_volume
from brainslice.service.settings import Limits, Settings

MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="module")
def head() -> bytes:
    """A bright ball in the dark, as NIfTI."""
    rng = np.random.default_rng(8)
    axes = np.mgrid[-20:20, -20:20, -12:12]
    inside = np.sqrt((axes[0] / 18) ** 2 + (axes[1] / 18) ** 2 + (axes[2] / 11) ** 2) < 1
    voxels = np.where(inside, rng.integers(90, 255, inside.shape), 0).astype(np.uint8)
    return bytes(nib.Nifti1Image(voxels, np.eye(4)).to_bytes())


def study(data: bytes, name: str = "head.nii") -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (name, data))]


def test_a_study_gets_the_answer_that_python_gives(client: TestClient, head: bytes, predictor: Predictor) -> None:
    told = client.post("/volume", files=study(head)).json()
    expected = predict_volume(predictor, decode_volume({"head.nii": head}, "head.nii"), "head.nii").to_json()
    assert told.pop("viewer")["slices"] == 24
    assert told.pop("model") == predictor.bundle.info.digest
    assert told.pop("probabilities") == pytest.approx(expected.pop("probabilities"), abs=1e-6)
    assert told.pop("tumour_probability") == pytest.approx(expected.pop("tumour_probability"), abs=1e-6)
    for row, same in zip(told.pop("curve"), expected.pop("curve"), strict=True):
        assert row["probabilities"] == pytest.approx(same["probabilities"], abs=1e-6)
        assert (row["slice"], row["verdict"]) == (same["slice"], same["verdict"])
    assert told == expected


def test_slices_are_shown_one_by_one_and_agree_with_the_curve(client: TestClient, head: bytes) -> None:
    told = client.post("/volume", files=study(head)).json()
    address = f"/volume/{told['viewer']['id']}/slices"
    for row in told["curve"][::5]:
        shown = client.get(f"{address}/{row['slice']}").json()
        assert shown["slice"] == row["slice"]
        assert shown["prediction"]["probabilities"] == pytest.approx(row["probabilities"], abs=1e-6)
        assert {"network_input", "original", "maps", "map_note"} <= set(shown)
    for number, status in ((0, 422), (25, 422), (24, 200)):
        assert client.get(f"{address}/{number}").status_code == status


def test_a_slice_of_a_file_is_explained_like_the_slice_of_its_study(client: TestClient, head: bytes) -> None:
    told = client.post("/volume", files=study(head)).json()
    of_study = client.get(f"/volume/{told['viewer']['id']}/slices/12").json()
    of_file = client.post("/explain?format=json&slice=12", files=[("file", ("head.nii", head))]).json()
    assert of_file["network_input"] == of_study["network_input"]
    alone = of_file["prediction"]["probabilities"]
    assert alone == pytest.approx(of_study["prediction"]["probabilities"], abs=1e-6)


def test_a_study_that_was_forgotten_is_unknown(client: TestClient, head: bytes) -> None:
    name = client.post("/volume", files=study(head)).json()["viewer"]["id"]
    assert client.get(f"/volume/{name}/slices/3").status_code == 200
    assert client.delete(f"/volume/{name}").status_code == 204
    answer = client.get(f"/volume/{name}/slices/3")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_volume")


def test_a_zip_gives_what_its_file_gives(client: TestClient, head: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("study/head.nii", head)
    packed = client.post("/volume", files=study(stream.getvalue(), "study.zip")).json()
    assert packed["digest"] == client.post("/volume", files=study(head)).json()["digest"]
    assert packed["source"] == "study.zip"


@pytest.mark.parametrize("data", [b"", b"nothing", b"PK\x03\x04 no archive"])
def test_what_is_no_study_is_one_problem(client: TestClient, data: bytes) -> None:
    answer = client.post("/volume", files=study(data))
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_scan")
    assert len(answer.json()["detail"].splitlines()) == 1


def test_an_answer_that_takes_too_long_is_given_up(make_client: MakeClient, head: bytes) -> None:
    client = make_client(Settings(limits=Limits(answer_seconds=0.0001)))
    answer = client.post("/volume", files=study(head))
    assert (answer.status_code, answer.json()["code"]) == (503, "out_of_time")
    assert answer.headers["retry-after"]


def test_nothing_of_a_study_is_held_as_upload_once_it_is_answered(client: TestClient, head: bytes) -> None:
    client.post("/volume", files=study(head))
    admission = client.app.state.service.concurrency_limit
    assert (admission.requests, admission.held_bytes) == (0, 0)


@pytest.mark.real
def test_real_series_and_volumes_are_answered_or_refused(client: TestClient, real_scans: Path) -> None:
    statuses = {}
    for path in sorted((real_scans / "nifti" / "odd").iterdir()):
        statuses[path.name] = client.post("/volume", files=study(path.read_bytes(), path.name)).status_code
    assert set(statuses.values()) <= {200, 413, 422}
    assert 200 in statuses.values()
