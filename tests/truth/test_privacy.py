"""Identifying DICOM attributes: no command writes any of their values but into DICOM objects asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from highdicom.base import get_module_attribute_map
from pydicom import dcmread
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

from brainslice.paths import ProjectPaths
from command import call
from hospital import SERIES, head, write_series
from stand_in import config, prepare_project, write_bundle_for

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
    secrets = re.compile(f"{CANARY}|{OLD_DATE}|{OLD_TIME}".encode())
    printed = capfd.readouterr()
    assert not secrets.search((printed.out + printed.err).encode())
    assert not [path for path in (*written, *project.rglob("*")) if _holds(path, secrets) and path not in dicom]
    # The patient belongs in the objects of his study: with the attributes that the documents name, and no others.
    assert dicom
    for path in dicom:
        copied = {each.keyword for each in dcmread(path) if secrets.search(str(each.value).encode())}
        assert {"PatientName", "PatientID"} <= copied <= COPIED, path


def _holds(path: Path, secrets: re.Pattern[bytes]) -> bool:
    return path.is_file() and bool(secrets.search(path.read_bytes()) or secrets.search(path.name.encode()))


@pytest.mark.parametrize("language", ["en", "es"])
def test_documents_name_every_copied_attribute(language: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / language / "prediction.md").read_text(encoding="utf-8")
    assert not COPIED - set(re.findall(r"`(\w+)`", text))
