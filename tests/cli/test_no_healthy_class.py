"""A model of tumours only: what needs a decision between tumour and healthy says so, everything else works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.manifest import Manifest
from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site, write_phantoms
from brainslice.service.responses import PredictionResponse
from brainslice.tables.columns import cells_of, row_of
from command import WORDS, call
from hospital import head, write_series
from stand_in import FOLDS, config, write_bundle_for

pytestmark = pytest.mark.usefixtures("blank_figures")

Capture = pytest.CaptureFixture[str]
CLASSES = ("ependymoma", "glioma", "meningioma", "pituitary")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project of four kinds of tumours, with a bundle."""
    root = tmp_path_factory.mktemp("tumours")
    write_phantoms(root / "source", patients_per_class=4, slices=2, seed=3)
    for folder in sorted((root / "source").glob("*/no*")):
        folder.rename(folder.with_name("ependymoma"))
    prepare_dataset(root / "source", root, PreparationOptions(folds=FOLDS, copy=True))
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


def scan_of(project: Path) -> Path:
    return Manifest.read(project / "data").paths[0]


def test_the_set_has_no_healthy_class(project: Path) -> None:
    labels = Manifest.read(project / "data").labels
    assert (labels.names, labels.healthy) == (CLASSES, None)


def test_a_scan_gets_a_class_and_no_decision(project: Path, capsys: Capture) -> None:
    assert call("predict", scan_of(project), "--project-root", project) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("class: ")
    assert "P(tumour)" not in printed
    assert call("predict", scan_of(project), "--project-root", project, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["tumour"], said["tumour_probability"]) == ("class", None, None)
    assert said["class"] in CLASSES


def test_rows_responses_and_overlays_leave_the_decision_out(project: Path) -> None:
    predictor = Predictor.open(project / "models" / "bundle")
    answer = predictor.predict(scan_of(project))
    cells = cells_of(row_of(scan_of(project), answer, predictor), answer.labels)
    assert (cells["tumour"], cells["tumour_probability"], cells["verdict"]) == (None, None, "class")
    assert PredictionResponse.model_validate(answer.to_json()).tumour_probability is None
    assert "P(tumour)" not in repr(answer)
    assert np.asarray(answer.overlay()).ndim == 3


def test_an_evaluation_leaves_the_scores_of_the_decision_undefined(project: Path, capsys: Capture) -> None:
    assert call("evaluate", "--project-root", project, *WORDS, "--gradcam", "0") == 0
    printed = capsys.readouterr().out
    for name in ("AUC of P(tumour)", "sensitivity (tumour)", "specificity (tumour)"):
        assert f"{name}: undefined" in printed
    assert "no class is healthy: there is no decision between tumour and healthy" in printed
    report = json.loads((project / "reports" / "report.json").read_text())["evaluation"]
    assert report["scores"]["tumour_auc"]["note"] == "undefined: no class is healthy"
    assert report["scores"]["accuracy"]["value"] is not None


@pytest.mark.parametrize(
    "words",
    [("threshold", "--target-sensitivity", "0.9"), ("threshold", "--youden", "--save")],
)
def test_a_threshold_needs_a_healthy_class(project: Path, words: tuple[str, ...], capsys: Capture) -> None:
    assert call(*words, "--project-root", project, *WORDS) == 2
    assert "no tumour/healthy decision" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["validate", "adapt"])
def test_another_site_needs_a_healthy_class(project: Path, tmp_path: Path, command: str, capsys: Capture) -> None:
    write_external_site(tmp_path / "site", heads_per_kind=6, slices=1, seed=5)
    assert call(command, "--data", tmp_path / "site", "--project-root", project, *WORDS) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message == (
        f"brainslice: the classes {', '.join(CLASSES)} have no healthy one, so there is no tumour/healthy decision"
    )


def test_a_volume_needs_a_healthy_class(project: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("predict-volume", write_series(tmp_path / "series", head(24)), "--project-root", project) == 3
    assert "none of the model's classes" in capsys.readouterr().err


def test_a_cross_validation_leaves_the_scores_of_the_decision_undefined(
    project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "brainslice.training.cross_validation.train",
        lambda paths, settings, *, assignment, **_: write_bundle_for(paths, settings, assignment),
    )
    assert call("crossval", "--project-root", project, *WORDS) == 0
    table = {line.split("  ")[0].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert "undefined" in table["tumour_auc"]
    found = json.loads((project / "reports" / "crossval" / "crossval.json").read_text())
    spread = found["mean_and_standard_deviation"]
    assert spread["tumour_auc"] == {"mean": None, "sd": None}
    assert spread["accuracy"]["mean"] is not None
    assert found["out_of_fold"]["n"] == len(Manifest.read(project / "data").records)


def test_a_worklist_is_sorted_by_doubt(project: Path, capsys: Capture) -> None:
    folder = scan_of(project).parent
    assert call("worklist", folder, "--project-root", project, "--json") == 0
    assert all(json.loads(line)["tumour"] is None for line in capsys.readouterr().out.splitlines())


def test_the_source_controlled_test_needs_a_healthy_class(project: Path, tmp_path: Path, capsys: Capture) -> None:
    log = ProjectPaths.of(project, config()).test_access_log
    before = log.read_text() if log.exists() else ""
    assert call("evaluate", "--project-root", project, *WORDS, "--slices", tmp_path) == 2
    assert "--slices needs a healthy class" in capsys.readouterr().err
    assert (log.read_text() if log.exists() else "") == before
