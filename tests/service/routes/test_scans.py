from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from brainslice.inference.predictor import Predictor
from brainslice.scan.read import read_scan
from brainslice.service.settings import Limits, Settings

MakeClient = Callable[..., TestClient]


def form(paths: list[Path], field: str = "files") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, (path.name, path.read_bytes())) for path in paths]


def decoded(address: str) -> Image.Image:
    kind, data = address.split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_each_scan_gets_the_answer_that_the_predictor_gives(
    client: TestClient, scans: list[Path], predictor: Predictor
) -> None:
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


def test_a_file_that_is_no_scan_is_a_row_with_its_reason_among_the_answers(
    client: TestClient, scans: list[Path]
) -> None:
    files = [*form(scans[:1]), ("files", ("notes.txt", b"no scan")), *form(scans[1:2])]
    answer = client.post("/predict", files=files)
    assert answer.status_code == 200
    first, refused, last = answer.json()["predictions"]
    assert set(refused) == {"source", "refused"}
    assert refused["refused"].startswith("notes.txt: ")
    assert "probabilities" in first
    assert "probabilities" in last


def test_a_folder_in_a_files_name_is_not_repeated(client: TestClient, scans: list[Path]) -> None:
    told = client.post("/predict", files=[("files", ("C:\\patients\\Doe\\a.png", scans[0].read_bytes()))]).json()
    assert told["predictions"][0]["source"] == "a.png"


def test_the_parts_of_an_explanation_are_what_the_predictor_says(
    client: TestClient, scans: list[Path], predictor: Predictor
) -> None:
    told = client.post("/explain?format=json", files=form(scans[:1], "file")).json()
    expected = predictor.predict(scans[0])
    np.testing.assert_array_equal(np.asarray(decoded(told["network_input"])), expected.network_input)
    for place, name in enumerate(expected.labels.names):
        np.testing.assert_allclose(told["maps"][name], expected.class_maps[..., place], atol=1e-5)
    rows, columns = read_scan(scans[0]).pixels.shape
    assert decoded(told["original"]).size == (columns, rows)
    assert "not where a tumour ends" in told["map_note"]
    assert told["prediction"]["class"] == expected.predicted_class


def test_an_overlay_is_a_png_that_opacity_and_class_change(client: TestClient, scans: list[Path]) -> None:
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
def test_a_parameter_that_cannot_be_meant_is_named_and_not_repeated(
    client: TestClient, scans: list[Path], query: str, where: str
) -> None:
    answer = client.post(f"/explain?{query}", files=form(scans[:1], "file"))
    assert answer.status_code == 422
    told = answer.json()
    assert told["code"] == "bad_value"
    assert [fault["field"] for fault in told["errors"]] == [where]


def test_an_explanation_of_what_is_no_scan_is_a_problem(client: TestClient) -> None:
    answer = client.post("/explain", files=[("file", ("a.png", b"nothing"))])
    assert answer.status_code == 422
    assert answer.json()["code"] == "unreadable_scan"
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["detail"].startswith("a.png: ")


@pytest.mark.parametrize(("path", "field"), [("/predict", "files"), ("/explain", "file")])
def test_a_form_without_its_field_says_which(client: TestClient, scans: list[Path], path: str, field: str) -> None:
    told = client.post(path, files=form(scans[:1], "picture")).json()
    assert told["code"] == "bad_value"
    assert told["errors"] == [{"field": field, "message": "holds no file; send at least one"}]


def test_more_files_than_may_be_are_refused(make_client: MakeClient, scans: list[Path]) -> None:
    client = make_client(Settings(limits=Limits(files=2)))
    assert client.post("/predict", files=form(scans[:2])).status_code == 200
    answer = client.post("/predict", files=form(scans[:3]))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_damaged_scan_is_answered_or_refused_and_never_breaks_anything(client: TestClient, scans: list[Path]) -> None:
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
def test_everything_hostile_is_answered_or_refused_once(client: TestClient, real_scans: Path) -> None:
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
def test_a_real_scan_gets_one_answer_by_http_and_by_python(
    client: TestClient, real_scans: Path, predictor: Predictor
) -> None:
    paths = sorted(path for path in (real_scans / "navoneel").rglob("*") if path.is_file())[::12]
    rows = client.post("/predict", files=form(paths)).json()["predictions"]
    for path, row in zip(paths, rows, strict=True):
        assert row["probabilities"] == pytest.approx(predictor.predict(path).probabilities, abs=1e-6)
