from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from brainslice.inference.predictor import Predictor
from brainslice.inference.volume import predict_volume
from brainslice.scan.read import read_scan
from brainslice.scan.types import Slice, Volume
from brainslice.scan.volume.reader import decode_volume
from brainslice.service.settings import Limits, Settings

MakeClient = Callable[..., TestClient]


def test_probes_of_a_running_service(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_draining_service_is_alive_but_not_ready(client: TestClient, scans: list[Path]) -> None:
    client.app.state.service.concurrency_limit.draining = True
    assert client.get("/livez").status_code == 200
    refused = [client.get("/readyz"), client.post("/predict", files={"files": scans[0].read_bytes()})]
    assert [answer.status_code for answer in refused] == [503, 503]
    assert {answer.json()["code"] for answer in refused} == {"draining"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_full_service_is_alive_but_not_ready(make_client: MakeClient, scans: list[Path]) -> None:
    client = make_client(Settings(limits=Limits(requests=1)))
    ticket = client.app.state.service.concurrency_limit.enter()
    busy = client.post("/predict", files={"files": scans[0].read_bytes()})
    assert (busy.status_code, busy.json()["code"]) == (429, "busy")
    assert int(busy.headers["retry-after"]) > 0
    full = client.get("/readyz")
    assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (503, "full", "2")
    assert client.get("/livez").status_code == 200
    ticket.leave()
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", files={"files": scans[0].read_bytes()}).status_code == 200


def test_metrics_are_valid_prometheus_text(client: TestClient, scans: list[Path]) -> None:
    client.post("/predict", files=[("files", scans[0].read_bytes()), ("files", b"no scan")])
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["brainslice_scans_total", ("outcome", "answered")] == 1
    assert samples["brainslice_scans_total", ("outcome", "refused")] == 1
    assert samples["brainslice_requests_total", ("method", "POST"), ("route", "/predict"), ("status", "200")] == 1
    assert samples["brainslice_batch_scans_sum",] == 1
    assert samples["brainslice_requests_in_work",] == samples["brainslice_upload_bytes",] == 0


def test_model_info_names_the_bundle(client: TestClient, predictor: Predictor) -> None:
    told = client.get("/model").json()
    assert told["digest"] == predictor.bundle.info.digest
    assert told["classes"] == list(predictor.bundle.labels.names)
    assert "research" in told["research_use_only"]


def test_page_and_unknown_paths_are_one_route_each(client: TestClient) -> None:
    for address in ("/", "/app.js", "/words/es.json", "/nothing", "/nothing-else"):
        client.get(address)
    told = client.get("/metrics").text
    counted = [line for line in told.splitlines() if line.startswith("brainslice_requests_total{")]
    assert sorted(line.split("route=")[1] for line in counted) == [
        '"page",status="200"} 3.0',
        '"unmatched",status="404"} 2.0',
    ]


MakeClient = Callable[..., TestClient]


def form(paths: list[Path], field: str = "files") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, (path.name, path.read_bytes())) for path in paths]


def decoded(address: str) -> Image.Image:
    kind, data = address.split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_predictions_equal_those_of_the_predictor(client: TestClient, scans: list[Path], predictor: Predictor) -> None:
    told = client.post("/predict", files=form(scans)).json()
    assert told["model"] == predictor.bundle.info.digest
    assert len(told["predictions"]) == len(scans) > 3
    for path, row in zip(scans, told["predictions"], strict=True):
        expected = predictor.predict(path).to_json()
        assert row["probabilities"] == pytest.approx(expected.pop("probabilities"), abs=1e-6)
        for number in ("tumour_probability", "entropy"):
            assert row.pop(number) == pytest.approx(expected.pop(number), abs=1e-6)
        assert {name: row[name] for name in expected} == expected
        assert not set(row) - set(expected) - {"probabilities"}


def test_unreadable_files_are_refusal_rows(client: TestClient, scans: list[Path]) -> None:
    files = [*form(scans[:1]), ("files", ("notes.txt", b"no scan")), *form(scans[1:2])]
    answer = client.post("/predict", files=files)
    assert answer.status_code == 200
    first, refused, last = answer.json()["predictions"]
    assert set(refused) == {"source", "refused"}
    assert refused["refused"].startswith("notes.txt: ")
    assert "probabilities" in first
    assert "probabilities" in last


def test_folders_are_removed_from_file_names(client: TestClient, scans: list[Path]) -> None:
    told = client.post("/predict", files=[("files", ("C:\\patients\\Doe\\a.png", scans[0].read_bytes()))]).json()
    assert told["predictions"][0]["source"] == "a.png"


def test_explanation_equals_the_predictor(client: TestClient, scans: list[Path], predictor: Predictor) -> None:
    told = client.post("/explain?format=json", files=form(scans[:1], "file")).json()
    expected = predictor.predict(scans[0])
    np.testing.assert_array_equal(np.asarray(decoded(told["network_input"])), expected.network_input)
    for place, name in enumerate(expected.labels.names):
        np.testing.assert_allclose(told["maps"][name], expected.class_maps[..., place], atol=1e-5)
    rows, columns = read_scan(scans[0]).pixels.shape
    assert decoded(told["original"]).size == (columns, rows)
    assert "not where a tumour ends" in told["map_note"]
    assert told["prediction"]["class"] == expected.predicted_class


def test_overlay_depends_on_opacity_and_class(client: TestClient, scans: list[Path]) -> None:
    pictures = set()
    for query in ("", "?opacity=0", "?class=glioma", "?class=pituitary"):
        answer = client.post(f"/explain{query}", files=form(scans[:1], "file"))
        assert answer.headers["content-type"] == "image/png"
        Image.open(io.BytesIO(answer.content)).verify()
        pictures.add(answer.content)
    assert len(pictures) >= 3


def test_one_frame_of_several_can_be_asked_for(client: TestClient) -> None:
    pages = [Image.fromarray(np.zeros((64, 64), np.uint8)) for _ in range(2)]
    for page, side in zip(pages, (20, 40), strict=True):
        page.paste(255, (10, 10, 10 + side, 10 + side))
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    files = [("file", ("pages.tif", stream.getvalue()))]
    originals = [
        client.post(f"/explain?format=json&slice={number}", files=files).json()["original"] for number in (1, 2)
    ]
    assert originals[0] != originals[1]
    missing = client.post("/explain?format=json&slice=3", files=files)
    assert (missing.status_code, missing.json()["code"]) == (422, "unreadable_scan")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("opacity=2", "opacity"),
        ("opacity=nan", "opacity"),
        ("format=pdf", "format"),
        ("slice=0", "slice"),
        ("class=x", "class"),
    ],
)
def test_invalid_parameters_are_named_without_value(
    client: TestClient, scans: list[Path], query: str, where: str
) -> None:
    answer = client.post(f"/explain?{query}", files=form(scans[:1], "file"))
    assert answer.status_code == 422
    told = answer.json()
    assert told["code"] == "bad_value"
    assert [fault["field"] for fault in told["errors"]] == [where]


def test_explaining_an_unreadable_file_is_a_problem(client: TestClient) -> None:
    answer = client.post("/explain", files=[("file", ("a.png", b"nothing"))])
    assert answer.status_code == 422
    assert answer.json()["code"] == "unreadable_scan"
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["detail"].startswith("a.png: ")


@pytest.mark.parametrize(("path", "field"), [("/predict", "files"), ("/explain", "file")])
def test_missing_form_field_is_named(client: TestClient, scans: list[Path], path: str, field: str) -> None:
    told = client.post(path, files=form(scans[:1], "picture")).json()
    assert told["code"] == "bad_value"
    assert told["errors"] == [{"field": field, "message": "holds no file; send at least one"}]


def test_too_many_files_in_a_request_are_refused(make_client: MakeClient, scans: list[Path]) -> None:
    client = make_client(Settings(limits=Limits(files=2)))
    assert client.post("/predict", files=form(scans[:2])).status_code == 200
    answer = client.post("/predict", files=form(scans[:3]))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_damaged_scans_are_predicted_or_refused(client: TestClient, scans: list[Path]) -> None:
    rng = np.random.default_rng(11)
    whole = scans[0].read_bytes()
    outcomes = set()
    for _ in range(40):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, len(damaged), size=3):
            damaged[place] = rng.integers(0, 256)
        for path, field in (("/predict", "files"), ("/explain?format=json", "file"), ("/volume", "files")):
            answer = client.post(path, files=[(field, ("a.png", bytes(damaged)))])
            outcomes.add((path, answer.status_code))
    assert {status for path, status in outcomes if path == "/predict"} == {200}
    assert {status for _, status in outcomes} <= {200, 422}


@pytest.mark.real
def test_malicious_files_are_predicted_or_refused(client: TestClient, real_scans: Path) -> None:
    paths = sorted(path for path in (real_scans / "hostile").rglob("*") if path.is_file())
    assert len(paths) > 400
    answered = 0
    for path in paths:
        told = client.post("/predict", files=form([path]))
        assert told.status_code == 200, path.name
        (row,) = told.json()["predictions"]
        answered += "probabilities" in row
        for address, field in (("/explain?format=json", "file"), ("/volume", "files")):
            status = client.post(address, files=form([path], field)).status_code
            assert status in {200, 413, 422}, (path.name, address, status)
    assert 100 < answered < len(paths) - 100


@pytest.mark.real
def test_real_scans_have_equal_predictions_over_http(
    client: TestClient, real_scans: Path, predictor: Predictor
) -> None:
    paths = sorted(path for path in (real_scans / "navoneel").rglob("*") if path.is_file())[::12]
    rows = client.post("/predict", files=form(paths)).json()["predictions"]
    for path, row in zip(paths, rows, strict=True):
        assert row["probabilities"] == pytest.approx(predictor.predict(path).probabilities, abs=1e-6)


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


def test_volume_prediction_equals_python(client: TestClient, head: bytes, predictor: Predictor) -> None:
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


def test_slices_agree_with_the_curve(client: TestClient, head: bytes) -> None:
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


def test_deleted_study_is_unknown(client: TestClient, head: bytes) -> None:
    name = client.post("/volume", files=study(head)).json()["viewer"]["id"]
    assert client.get(f"/volume/{name}/slices/3").status_code == 200
    assert client.delete(f"/volume/{name}").status_code == 204
    answer = client.get(f"/volume/{name}/slices/3")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_volume")


def test_zip_has_the_prediction_of_its_file(client: TestClient, head: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("study/head.nii", head)
    packed = client.post("/volume", files=study(stream.getvalue(), "study.zip")).json()
    assert packed["digest"] == client.post("/volume", files=study(head)).json()["digest"]
    assert packed["source"] == "study.zip"


@pytest.mark.parametrize("data", [b"", b"nothing", b"PK\x03\x04 no archive"])
def test_unreadable_study_is_a_problem(client: TestClient, data: bytes) -> None:
    answer = client.post("/volume", files=study(data))
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_scan")
    assert len(answer.json()["detail"].splitlines()) == 1


def test_time_limit_of_a_request(make_client: MakeClient, head: bytes) -> None:
    client = make_client(Settings(limits=Limits(answer_seconds=0.0001)))
    answer = client.post("/volume", files=study(head))
    assert (answer.status_code, answer.json()["code"]) == (503, "out_of_time")
    assert answer.headers["retry-after"]


def test_upload_memory_is_released_after_the_response(client: TestClient, head: bytes) -> None:
    client.post("/volume", files=study(head))
    admission = client.app.state.service.concurrency_limit
    assert (admission.requests, admission.held_bytes) == (0, 0)


@pytest.mark.real
def test_real_series_and_volumes_are_predicted_or_refused(client: TestClient, real_scans: Path) -> None:
    statuses = {}
    for path in sorted((real_scans / "nifti" / "odd").iterdir()):
        statuses[path.name] = client.post("/volume", files=study(path.read_bytes(), path.name)).status_code
    assert set(statuses.values()) <= {200, 413, 422}
    assert 200 in statuses.values()


def test_a_service_whose_worker_has_stopped_is_neither_ready_nor_alive(client: TestClient) -> None:
    client.portal.call(client.app.state.service.worker._batcher.stop)
    for path in ("/readyz", "/livez"):
        refused = client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_working")


def test_a_study_ends_at_its_deadline_between_two_slices(
    make_client: MakeClient, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[int] = []

    def slowly(self: Volume, index: int) -> Slice:
        prepared.append(index)
        time.sleep(0.1)
        return axial_slice(self, index)

    axial_slice = Volume.axial_slice
    monkeypatch.setattr(Volume, "axial_slice", slowly)
    client = make_client(Settings(limits=Limits(answer_seconds=0.35)))
    refused = client.post("/volume", files=study(head))
    assert (refused.status_code, refused.json()["code"]) == (503, "out_of_time")
    service = client.app.state.service
    end = time.monotonic() + 30
    while service.concurrency_limit.requests and time.monotonic() < end:
        time.sleep(0.01)
    assert (service.concurrency_limit.requests, service.worker.busy) == (0, 0)
    assert 0 < len(prepared) < 24
