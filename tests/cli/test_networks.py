from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainslice import api
from brainslice.dataset.manifest import Manifest
from brainslice.inference.predictor import Predictor
from brainslice.phantom import write_external_site
from command import WORDS, call
from own_classifier import CONFIG, NAMES, classifier
from stand_in import copy_project, prepare_project

pytestmark = pytest.mark.usefixtures("blank_figures")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_project(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def imported(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose bundle is an imported network without class maps."""
    root = copy_project(prepared, tmp_path_factory.mktemp("imported") / "project")
    classifier(root / "own.keras", pooled=False)
    api.import_keras(root / "own.keras", NAMES, root, config=CONFIG)
    return root


def scan_of(project: Path) -> Path:
    return Manifest.read(project / "data").paths[0]


def test_commands_take_the_bundle(imported: Path, capsys: Capture) -> None:
    overlays = imported / "overlays"
    assert call("predict", scan_of(imported), "--project-root", imported, "--json", "--gradcam", overlays) == 0
    assert len(list(overlays.glob("*.png"))) == 1
    assert "imported" in json.loads(capsys.readouterr().out)["warnings"]
    assert call("evaluate", "--project-root", imported, *WORDS, "--gradcam", "1") == 0
    assert "imported" in capsys.readouterr().out
    report = json.loads((imported / "reports" / "report.json").read_text())
    assert "imported" in report["evaluation"]["warnings"]
    page = (imported / "reports" / "report.html").read_text(encoding="utf-8")
    assert "trained elsewhere, on scans that are not known" in page
    assert call("threshold", "--target-sensitivity", "0.5", "--project-root", imported, *WORDS) == 0
    printed = capsys.readouterr()
    assert "trained elsewhere, perhaps on these scans" in printed.out + printed.err


def test_the_service_answers_with_the_bundle(imported: Path) -> None:
    testclient = pytest.importorskip("starlette.testclient", reason="needs the serve extra")
    from brainslice.service.app import create_app
    from brainslice.service.settings import Settings

    predictor, scan = Predictor.open(imported / "models" / "bundle"), scan_of(imported)
    with testclient.TestClient(create_app(predictor, Settings()), base_url="http://127.0.0.1:8000") as client:
        assert "imported" in client.get("/model").json()["warnings"]
        answer = client.post("/explain?format=json", files={"file": (scan.name, scan.read_bytes())}).json()
    told, expected = answer["prediction"], predictor.predict(scan)
    assert told["probabilities"] == pytest.approx(dict(expected.probabilities), abs=1e-5)
    assert told["verdict"] == expected.verdict.value


def test_an_imported_network_is_not_adapted(imported: Path, capsys: Capture) -> None:
    write_external_site(imported / "elsewhere", heads_per_kind=6, slices=1, seed=3)
    assert call("adapt", "--data", imported / "elsewhere", "--project-root", imported, *WORDS) == 4
    assert "is an imported network, and only networks that brainslice trained" in capsys.readouterr().err


def test_dropout_is_drawn_only_where_there_is_some(imported: Path, capsys: Capture) -> None:
    assert call("predict", scan_of(imported), "--project-root", imported, "--dropout", "5") == 2
    assert "was trained without dropout" in capsys.readouterr().err


def test_the_command_imports_and_says_how_good_it_is(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    root = copy_project(prepared, tmp_path / "project")
    classifier(tmp_path / "own.h5")
    words = ("--project-root", root, *WORDS)
    assert call("import-keras", tmp_path / "own.h5", "--class-names", ", ".join(NAMES), *words) == 0
    printed = capsys.readouterr()
    assert "validation (clean, n = " in printed.out
    assert "check the order of --class-names" in printed.err
    assert call("export-tflite", tmp_path / "own.tflite", *words) == 0
    assert "differ from the bundle's by at most" in capsys.readouterr().out
