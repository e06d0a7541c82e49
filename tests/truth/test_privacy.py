"""Identifying DICOM attributes: no command writes any of their values but into DICOM objects asked for."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from highdicom.base import get_module_attribute_map
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from starlette.testclient import TestClient

from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site, write_phantoms
from brainslice.service.app import create_app
from command import call
from hospital import SERIES, STUDY, axial_images, head, image, write_series, written
from killed_runs import ADAPT, CROSSVAL
from projects import settings_words
from stand_in import SETTINGS, config, prepare_project, write_bundle_for

MODULES = ("patient", "clinical-trial-subject", "general-study", "patient-study", "clinical-trial-study")
COPIED = {each["keyword"] for name in MODULES for each in get_module_attribute_map()[name] if not each["path"]}
DEVICE = {"InstitutionName", "InstitutionAddress", "StationName", "OperatorsName", "PerformingPhysicianName"}
DEVICE |= {
    "DeviceSerialNumber",
    "ProtocolName",
    "SeriesDescription",
    "ImageComments",
    "PatientInsurancePlanCodeSequence",
}
TEXTS = {"PN", "LO", "SH", "LT", "ST", "UT", "UC"}
CANARY = "QX7CANARY"
OLD_DATE, OLD_TIME = "18830519", "034159"
SECRETS = re.compile(f"{CANARY}|{OLD_DATE}|{OLD_TIME}".encode())


def canaries() -> dict[str, object]:
    """A recognisable value for every identifying attribute of text, date or time."""
    found: dict[str, object] = {}
    for number, name in enumerate(sorted(COPIED | DEVICE)):
        kind = dictionary_VR(tag_for_keyword(name))
        if kind in TEXTS and name != "SpecificCharacterSet":
            value = f"{CANARY}{number:03d}"
            found[name] = value if dictionary_VM(tag_for_keyword(name)) == "1" else [value]
        elif kind == "DA":
            found[name] = OLD_DATE
        elif kind == "TM":
            found[name] = OLD_TIME
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare_project(tmp_path_factory.mktemp("privacy") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


def test_no_canary_of_a_scan_reaches_any_output_but_dicom(
    project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = canaries()
    assert len(values) > 60
    series = write_series(tmp_path / "series", head(12, 64), **values, StudyInstanceUID=f"{SERIES}.9")
    (series / "cut.dcm").write_bytes(min(series.iterdir()).read_bytes()[:900])
    out, bundle = tmp_path / "out", ("--bundle", project / "models" / "bundle")
    out.mkdir()
    for words in (
        ("predict", series, *bundle, "--output", out / "rows.csv", "--gradcam", out / "maps"),
        ("predict", series, *bundle, "--output", out / "rows.jsonl"),
        ("predict", series, *bundle, "--output", out / "rows.parquet"),
        ("--debug", "predict", series, *bundle, "--json"),
        ("predict", series, *bundle, "--dicom-out", out / "dicom"),
        ("worklist", series, *bundle, "--csv"),
        ("predict-volume", series, *bundle, "--json", "--gradcam", out / "volume"),
        ("audit", series, "--json", "--gallery", out / "pairs.png"),
        ("audit", series, "--against", series),
    ):
        assert call(*words) in {0, 3}, words
    written = [path for path in tmp_path.rglob("*") if path.is_file() and series not in path.parents]
    dicom = [path for path in written if path.suffix == ".dcm"]
    assert len(written) - len(dicom) > 12
    printed = capfd.readouterr()
    assert not SECRETS.search((printed.out + printed.err).encode())
    assert not [path for path in (*written, *project.rglob("*")) if _holds_secrets(path) and path not in dicom]
    # The patient belongs in the objects of his study: with the attributes that the documents name, and no others.
    assert dicom
    for path in dicom:
        copied = {each.keyword for each in dcmread(path) if SECRETS.search(str(each.value).encode())}
        assert {"PatientName", "PatientID"} <= copied <= COPIED, path


def _holds_secrets(path: Path) -> bool:
    if not path.is_file():
        return False
    content = path.read_bytes()
    # Parquet compresses texts.
    table = str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b""
    return any(SECRETS.search(each) for each in (content, table, path.name.encode()))


def test_no_canary_reaches_responses_and_logs_of_the_service(
    project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    series = write_series(tmp_path / "series", head(12, 64), **canaries(), StudyInstanceUID=f"{SERIES}.9")
    scans = [path.read_bytes() for path in sorted(series.iterdir())]
    damaged = scans[0][:900]
    app = create_app(Predictor.open(project / "models" / "bundle", threads=1))
    with (
        caplog.at_level(logging.DEBUG),
        TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client,
    ):
        answers = [
            client.post("/predict", files=[("files", data) for data in (*scans[:3], damaged)]),
            client.post("/explain", files={"file": scans[5]}),
            client.post("/explain?format=json", files={"file": scans[5]}),
            client.post("/explain?format=json", files={"file": damaged}),
            client.post("/volume", files=[("files", data) for data in scans]),
            client.post("/volume", files=[("files", data) for data in (*scans[:2], damaged)]),
            client.get("/metrics"),
            client.get("/model"),
        ]
    assert [answer.status_code for answer in answers][:3] == [200, 200, 200]
    assert answers[4].status_code == 200
    assert not [answer for answer in answers if SECRETS.search(answer.content + str(answer.headers).encode())]
    printed = capfd.readouterr()
    assert not SECRETS.search((printed.out + printed.err + caplog.text).encode())
    assert not [path for path in project.rglob("*") if _holds_secrets(path)]


def test_no_canary_reaches_what_is_written_for_archives_but_dicom(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pynetdicom", reason="needs the extra brainslice[pacs]")
    from brainslice.pacs.spool import Spool, StudyQueue
    from brainslice.pacs.study import EventLog

    lines: list[str] = []
    sent: list[Path] = []

    def deliver(files: Sequence[Path]) -> None:
        sent.extend(files)
        assert all(file.suffix == ".dcm" for file in files)

    audit = EventLog(tmp_path / "audit.jsonl")
    predictor = Predictor.open(project / "models" / "bundle")
    spool = Spool(tmp_path / "spool", 1 << 30)
    with caplog.at_level(logging.DEBUG):
        queue = StudyQueue(spool, predictor, deliver, lines.append, quiet_seconds=0.0, audit=audit)
        for uid, data in axial_images("1.2.3", **canaries(), StudyInstanceUID=STUDY):
            queue.spool.add(STUDY, "1.2.3", uid, data)
        queue.spool.add(f"{STUDY}.7", "1.2.4", "1.2.4.1", written(image(head(1, 64)[0], **canaries()))[:-700])
        queue.step()
    assert sent
    assert lines
    assert (tmp_path / "audit.jsonl").is_file()
    assert not SECRETS.search("".join([*lines, caplog.text]).encode())
    assert not [path for path in tmp_path.rglob("*") if path.suffix != ".dcm" and _holds_secrets(path)]


def _as_dicom(folder: Path) -> None:
    """Replace the pictures of a drawn set by DICOM files with canaries."""
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        pixels = np.asarray(Image.open(path).convert("L"), np.uint16) * 4
        uids = {"SOPInstanceUID": f"{SERIES}.5.{number}", "StudyInstanceUID": f"{SERIES}.9"}
        path.with_suffix(".dcm").write_bytes(written(image(pixels, **canaries(), **uids)))
        path.unlink()


@pytest.mark.slow_only
def test_no_canary_reaches_what_preparation_training_and_reports_write(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from brainslice.training import pipeline
    from small_training import SMALL, small_network, use_small_network

    monkeypatch.setattr(pipeline, "build_network", small_network)
    use_small_network(monkeypatch)
    root, source, site = tmp_path / "project", tmp_path / "source", tmp_path / "site"
    write_phantoms(source, patients_per_class=4, slices=2, seed=3)
    write_external_site(site, heads_per_kind=9, slices=1, seed=3)
    for folder in (source, site):
        _as_dicom(folder)
    key = tmp_path / "private.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    bundle, here = root / "models" / "bundle", ("--project-root", root)
    words = settings_words(*SETTINGS, *SMALL, *CROSSVAL, *ADAPT)
    for command in (
        ("prepare", source, *here, *words),
        ("audit", source, "--json"),
        ("train", *here, *words),
        ("evaluate", *here, *words),
        ("threshold", "--save", *here, *words),
        ("validate", "--data", site, *here, *words),
        ("robustness", "--sample", 8, *here, *words),
        ("adapt", "--data", site, "--accept-forgetting", *here, *words),
        ("crossval", *here, *words),
        ("summary", *here, *words),
        ("report", root),
        ("worklist", source, "--bundle", bundle),
        ("sign", bundle, "--key", key),
    ):
        assert call("--debug", *command) == 0, command
    printed = capfd.readouterr()
    assert not SECRETS.search((printed.out + printed.err).encode())
    made = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert len(made) > 60
    assert not [path for path in made if _holds_secrets(path)]


@pytest.mark.parametrize("language", ["en", "es"])
def test_documents_name_every_copied_attribute(language: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / language / "prediction.md").read_text(encoding="utf-8")
    assert not COPIED - set(re.findall(r"`(\w+)`", text))
