from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from brainslice.report import mistakes, writer
from command import WORDS, call
from drawn_heads import symmetric_head, with_lesion
from stand_in import config, copy_project, write_bundle_for

pytestmark = pytest.mark.usefixtures("blank_figures")

Capture = pytest.CaptureFixture[str]

FIGURES = [
    (mistakes, "draw_gallery"),
    *((writer, f"draw_{name}") for name in ("confusion_matrices", "curves", "calibration", "abstention")),
]
"""What draws the figures of an evaluation."""


@pytest.fixture
def trained(project: Path) -> Path:
    write_bundle_for(ProjectPaths.of(project, config()), config())
    return project


def test_evaluate_prints_scores_and_writes_reports(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("report", trained) == 3
    assert "run brainslice evaluate" in capsys.readouterr().err
    assert call("evaluate", "--project-root", trained, *WORDS, "--gradcam", "3") == 0
    said = capsys.readouterr().out
    assert "phantom, clean protocol, test [phantom]" in said
    assert str(trained / "reports") in said
    assert len(list((trained / "reports" / "gradcam").iterdir())) == 3
    told = json.loads((trained / "reports" / "report.json").read_text())
    assert told["test_openings"] == 1
    assert told["analysis"]["errors"]["n"] > 0
    assert "test scans misclassified; the most confident first in errors.png" in said
    assert (trained / "reports" / "report.html").is_file()
    page = tmp_path / "informe.html"
    assert call("report", trained, "--language", "es", "--output", page) == 0
    assert 'lang="es"' in page.read_text(encoding="utf-8")
    assert str(page) in capsys.readouterr().out


def test_robustness_prints_a_row_for_each_change(trained: Path, capsys: Capture) -> None:
    assert call("robustness", "--project-root", trained, *WORDS, "--sample", "3") == 0
    said = capsys.readouterr().out
    assert "Robustness of mean grey value: phantom, test scans of the clean protocol (3 of " in said
    assert said.count("bias field") == 6
    assert (trained / "reports" / "robustness.svg").is_file()
    assert "bias field" in (trained / "reports" / "report.html").read_text(encoding="utf-8").casefold()


def test_missing_bundle_has_its_exit_code(project: Path, capsys: Capture) -> None:
    assert call("evaluate", "--project-root", project, *WORDS) == 4
    assert capsys.readouterr().err.splitlines()[-1].startswith("brainslice: ")


def test_negative_gradcam_is_a_usage_error(project: Path) -> None:
    assert call("evaluate", "--project-root", project, "--gradcam", "-1") == 2


@pytest.fixture
def places(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    write_bundle_for(found, config())
    write_external_site(project / "data" / "external_navoneel", heads_per_kind=6, slices=1, seed=3)
    return found


def test_the_project_s_bundle_is_scored_on_the_external_set(places: ProjectPaths, capsys: Capture) -> None:
    assert call("validate", "--project-root", places.root, *WORDS) == 0
    said = capsys.readouterr().out
    assert "Scans of another site: external_navoneel" in said
    assert "source threshold" in said
    told = json.loads((places.reports / "external" / "external_navoneel.json").read_text())
    assert told["n"] == 12


def test_a_folder_and_several_bundles_can_be_named(places: ProjectPaths, tmp_path: Path, capsys: Capture) -> None:
    write_external_site(tmp_path / "clinic", heads_per_kind=6, slices=1, seed=4)
    words = ("--data", tmp_path / "clinic", "--bundle", places.bundle, "--bundle", places.bundle)
    assert call("validate", "--project-root", places.root, *words, *WORDS) == 0
    assert capsys.readouterr().out.count("source threshold") >= 2
    assert (places.reports / "external" / "clinic.md").is_file()


def test_validate_without_a_set(project: Path, capsys: Capture) -> None:
    places = ProjectPaths.of(project, config())
    write_bundle_for(places, config())
    assert call("validate", "--project-root", project, *WORDS) == 3
    assert "external_navoneel" in capsys.readouterr().err


def test_lesion_test_prints_and_writes_scores(tmp_path: Path, capsys: Capture) -> None:
    Image.fromarray(symmetric_head(0)).save(tmp_path / "a.png")
    Image.fromarray(with_lesion(symmetric_head(0))[0]).save(tmp_path / "b.png")
    (tmp_path / "slices.csv").write_text("path,patient,tumour,visit\na.png,p,0,1\nb.png,p,1,1\n")
    assert call("lesion-test", tmp_path, "--output", tmp_path / "found.json") == 0
    assert "auc within patients: " in capsys.readouterr().out
    told = json.loads((tmp_path / "found.json").read_text())
    assert told["source_controlled"][0]["scores"]["auc"]["n"] == 2


def test_lesion_test_without_slices_csv(tmp_path: Path, capsys: Capture) -> None:
    assert call("lesion-test", tmp_path) == 3
    assert "slices.csv: cannot be read" in capsys.readouterr().err


@pytest.fixture(scope="session")
def evaluated(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project with the reports of both protocols, without figures, and what was printed about the official one."""
    root = copy_project(prepared, tmp_path_factory.mktemp("summary") / "project")
    for protocol in ("clean", "official"):
        settings = config(f"data.protocol={protocol}")
        write_bundle_for(ProjectPaths.of(root, settings), settings)
        words = ("--project-root", root, *WORDS, "--protocol", protocol, "--gradcam", "0")
        with contextlib.redirect_stdout(io.StringIO()) as said, pytest.MonkeyPatch.context() as patched:
            for module, name in FIGURES:
                patched.setattr(module, name, lambda *_: None)
            assert call("evaluate", *words) == 0
    return root, said.getvalue()


@pytest.fixture
def reports(evaluated: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated[0] / "reports", tmp_path / "reports"))


def test_official_protocol_has_its_own_marked_reports(evaluated: tuple[Path, str], reports: Path) -> None:
    assert "[phantom, leaky]" in evaluated[1]
    for folder, protocol in ((reports, "clean"), (reports / "official", "official")):
        assert json.loads((folder / "report.json").read_text())["evaluation"]["protocol"] == protocol


@pytest.mark.usefixtures("reports")
def test_summary_of_both_protocols(tmp_path: Path, capsys: Capture) -> None:
    assert call("summary", "--project-root", tmp_path) == 0
    said = capsys.readouterr().out
    for word in ("clean", "official", "phantom", "leaky"):
        assert word in said


def test_summary_with_a_missing_protocol(reports: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.rmtree(reports / "official")
    assert call("summary", "--project-root", tmp_path) == 0
    assert "not run" in capsys.readouterr().out


def test_summary_without_reports(tmp_path: Path, capsys: Capture) -> None:
    assert call("summary", "--project-root", tmp_path) == 3
    assert "run brainslice train and brainslice evaluate" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '"text"'])
def test_summary_of_an_invalid_report(text: str, reports: Path, tmp_path: Path, capsys: Capture) -> None:
    (reports / "report.json").write_text(text)
    assert call("summary", "--project-root", tmp_path) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_summary_includes_external_sites(reports: Path, tmp_path: Path, capsys: Capture) -> None:
    score = {"value": 0.8, "interval": {"low": 0.7, "high": 0.9}}
    entry = {
        "name": "adapted_elsewhere",
        "auc": score,
        "sensitivity": score,
        "specificity": {"value": None, "interval": None},
        "false_negatives": 4,
        "false_positives": 0,
    }
    told = {"site": "elsewhere", "n": 20, "tumours": 20, "groups": 20, "warnings": ["phantom"], "entries": [entry]}
    (reports / "external").mkdir()
    (reports / "external" / "elsewhere.json").write_text(json.dumps(told))
    (reports / "external" / "elsewhere_adaptation.json").write_text(json.dumps({"site": "elsewhere"}))
    assert call("summary", "--project-root", tmp_path) == 0
    said = capsys.readouterr().out
    assert said.count("Scans of another site: elsewhere") == 1
    assert "0.800 [0.700, 0.900]" in said
    assert "adapted_elsewhere" in said
