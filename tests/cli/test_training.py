from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from brainslice.bundle.adaptation import ADAPTATION_FILE, HeldOutPrediction
from brainslice.bundle.store import open_bundle, update_bundle
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.decision.temperature import Temperature
from brainslice.errors import ForgettingError
from brainslice.evaluation.external_validation import Method, compare_methods
from brainslice.metrics.binary import binary_scores
from brainslice.paths import ProjectPaths
from brainslice.phantom import draw_phantom
from brainslice.progress import Progress
from brainslice.training import cross_validation, pipeline
from brainslice.training.adaptation import pipeline as adapting
from brainslice.training.adaptation.bundle import Outcome
from brainslice.training.adaptation.nested_cv import Setting, TunedThreshold
from brainslice.training.adaptation.pipeline import AdaptationResult, CurvePoint
from brainslice.training.history import Epoch
from brainslice.training.pipeline import TrainingResult
from command import WORDS, call
from stand_in import SLOPES, adaptation_with, config, write_bundle_for

pytestmark = pytest.mark.usefixtures("blank_figures")

Capture = pytest.CaptureFixture[str]
EPOCH = Epoch(1, "head", 0.01, 1.2, 0.4, 1.1, 0.5, 1.05, 0.45)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, bool]]:
    """Let a drawn bundle stand in for training, and keep what was asked."""
    found = []

    def train(places: ProjectPaths, config: Config, *, accept_leaks: bool, progress: Progress) -> TrainingResult:
        found.append((config, accept_leaks))
        progress("training the head", 1, 1)
        return TrainingResult(write_bundle_for(places, config), (EPOCH,), ("no temperature could be fitted",))

    drawing = ModuleType("brainslice.report.figures.history")
    drawing.__dict__["draw_history"] = lambda *_: None
    monkeypatch.setattr(pipeline, "train", train)
    monkeypatch.setitem(sys.modules, "brainslice.report.figures.history", drawing)
    return found


def test_train_prints_bundle_and_scores(project: Path, asked: list[tuple[Config, bool]], capsys: Capture) -> None:
    assert call("train", "--project-root", project, *WORDS) == 0
    said = capsys.readouterr()
    assert f"bundle [phantom]: {project / 'models' / 'bundle'}" in said.out
    assert "selected the weights and the temperature" in said.out
    assert "temperature 1.500" in said.out
    assert "no temperature could be fitted" in said.err
    assert asked[0][1] is False


def test_train_options(project: Path, asked: list[tuple[Config, bool]]) -> None:
    words = ("--protocol", "official", "--recipe", "full", "--weights", "own.h5", "--seed", "5", "--accept-leaks")
    assert call("train", "--project-root", project, *WORDS, *words) == 0
    ((config, accepted),) = asked
    assert (config.data.protocol, config.train.recipe, config.model.weights) == ("official", "full", "own.h5")
    assert (config.seed, accepted) == (5, True)
    assert (project / "models" / "official" / "bundle").is_dir()


def test_train_without_a_prepared_set(tmp_path: Path, capsys: Capture) -> None:
    assert call("train", "--project-root", tmp_path) == 3
    assert "run brainslice prepare" in capsys.readouterr().err


def test_leaky_split_is_refused(project: Path, capsys: Capture) -> None:
    assert call("train", "--project-root", project, *WORDS, "--protocol", "official") == 2
    assert "--accept-leaks" in capsys.readouterr().err


def test_train_excludes_overlap(
    project: Path, asked: list[tuple[Config, bool]], tmp_path: Path, capsys: Capture
) -> None:
    for label in ("yes", "no"):
        (tmp_path / "other" / label).mkdir(parents=True)
    scan = min((project / "source" / "Training" / "glioma").iterdir())
    shutil.copyfile(scan, tmp_path / "other" / "yes" / scan.name)
    Image.fromarray(draw_phantom("no_tumor", 0, 0, 99).pixels).save(tmp_path / "other" / "no" / "unknown.png")
    assert call("train", "--project-root", project, *WORDS, "--exclude-overlap-with", tmp_path / "other") == 0
    assert "neither train nor validate" in capsys.readouterr().err
    assert Manifest.read(project / "data").exclusion is not None
    assert asked


@pytest.fixture(autouse=True)
def _drawn_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(places: ProjectPaths, config: Config, *, assignment: SplitAssignment, progress: Progress) -> None:
        progress("training", 1, 1)
        write_bundle_for(places, config, assignment)

    monkeypatch.setattr(cross_validation, "train", train)


def test_crossval_prints_folds_and_pooled_scores(project: Path, capsys: Capture) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", "3") == 0
    said = capsys.readouterr()
    for part in (
        "fold 0",
        "fold 2",
        "mean ± sd",
        "accuracy",
        "tumour_auc",
        "[phantom]",
        "n = 44 scans",
        "baseline",
        "referred",
    ):
        assert part in said.out
    assert "crossval.json" in said.err


def test_crossval_with_another_number_of_folds(project: Path, capsys: Capture) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", "4") == 0
    said = capsys.readouterr()
    assert "4-fold cross-validation by group" in said.out
    assert "prepared with 3 folds" in said.err


@pytest.mark.parametrize("folds", ["2", "21"])
def test_invalid_number_of_folds_is_refused(project: Path, capsys: Capture, folds: str) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", folds) == 2
    assert "folds" in capsys.readouterr().err
    assert not (project / "models").exists()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The folds that chose, a training each; every training leaves another network at once."""
    chosen: list[int] = []

    def train(places: ProjectPaths, settings: Config, *, assignment: SplitAssignment, progress: Progress) -> None:
        progress("training", 1, 1)
        chosen.append(assignment.manifest.records[assignment.split.validation[0]].fold)
        write_bundle_for(places, settings, assignment, tuple(slope * len(chosen) for slope in SLOPES))

    monkeypatch.setattr(cross_validation, "train", train)
    return chosen


def test_ensemble_trains_and_tests_members(project: Path, trained: list[int], capsys: Capture) -> None:
    words = ("ensemble", "--project-root", project, *WORDS, "--test")
    assert call(*words) == 0
    said = capsys.readouterr()
    assert trained == [1, 2]
    assert open_bundle(project / "models" / "ensemble").info.ensemble is not None
    for part in ("[phantom]", "2 × none", "member 1", "gain over their mean", "accuracy", "nll"):
        assert part in said.out
    assert "approximation" in said.err
    gains = json.loads((project / "reports" / "ensemble" / "gains.json").read_text())
    assert gains.keys() == {"schema", "accuracy", "nll"}
    assert len(gains["accuracy"]["members"]) == 2
    assert (project / "reports" / "ensemble" / "report.json").is_file()
    page = project / "reports" / "ensemble" / "report.html"
    assert "What the ensemble gains" in page.read_text(encoding="utf-8")
    assert f"all on one page: {page}" in said.out
    ledger = (project / "reports" / "test_ledger.jsonl").read_text()
    assert ledger.count("\n") == 1
    assert call(*words[:-1]) == 0
    assert trained == [1, 2]


def test_ensemble_of_given_bundles(project: Path, capsys: Capture) -> None:
    places = ProjectPaths.of(project, config())
    bundles = []
    for number in (1, 2):
        bundle = write_bundle_for(places, config(), slopes=tuple(slope * number for slope in SLOPES))
        bundles.append(bundle.folder.rename(project / f"member{number}"))
    assert call("ensemble", *bundles, "--output", project / "both", "--project-root", project, *WORDS) == 0
    assert "each scored by at least 2 members" in capsys.readouterr().out
    assert call("predict", project / "source" / "Testing" / "glioma", "--bundle", project / "both") == 0
    assert "mutual information" in capsys.readouterr().out


def test_ensemble_needs_two_bundles(project: Path, capsys: Capture) -> None:
    bundle = write_bundle_for(ProjectPaths.of(project, config()), config())
    assert call("ensemble", bundle.folder, "--project-root", project, *WORDS) == 2
    assert "at least two bundles, got 1" in capsys.readouterr().err


TUMOURS = np.arange(12) < 6


@pytest.fixture
def asked_of_adapt(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let a drawn bundle stand in for what adapting leaves, and keep what was asked_of_adapt."""
    folder = write_bundle_for(ProjectPaths.of(project, config()), config()).folder
    stored = project / ADAPTATION_FILE
    prediction = HeldOutPrediction(pixels="0" * 64, tumour_probability=0.5, predicted_tumour=True)
    stored.write_text(adaptation_with((prediction,)).to_text())
    bundle = update_bundle(folder, added={ADAPTATION_FILE: stored})
    found: dict[str, Any] = {"error": None}

    def adapt(places: ProjectPaths, settings: object, folder: Path, base: Path, **words: object) -> AdaptationResult:
        found.update(places=places, settings=settings, folder=folder, base=base, **words)
        if found["error"] is not None:
            raise found["error"]
        chances = np.where(TUMOURS, 0.8, 0.3) + np.linspace(0, 0.1, 12)
        ways = [
            Method("base", chances, ~TUMOURS, "as it is", 0.9),
            Method("tail", chances, TUMOURS, "new", 0.89),
        ]
        scores = binary_scores(TUMOURS, chances, TUMOURS, np.arange(12))
        outcome = Outcome(Setting(0.001, 0), TunedThreshold(Temperature(1.0), 0.5), np.zeros((1, 4)), 0.9, 0.89)
        points = (CurvePoint(0, scores), CurvePoint(None, scores))
        network = places.models / "finetuned_elsewhere.keras"
        entries = compare_methods(TUMOURS, np.arange(12), ways)
        return AdaptationResult(bundle, network, ("elsewhere: 12 pictures",), entries, points, outcome)

    monkeypatch.setattr(adapting, "adapt", adapt)
    return found


def test_adapt_prints_and_writes_the_comparison(
    project: Path, asked_of_adapt: dict[str, Any], tmp_path: Path, capsys: Capture
) -> None:
    site = tmp_path / "elsewhere"
    assert call("adapt", "--data", site, "--project-root", project, "--seed", "5", *WORDS) == 0
    said = capsys.readouterr()
    assert "Ways to another site, out of fold" in said.out
    assert "How many labelled scans are enough" in said.out
    assert "0.900 before, 0.890 after" in said.out
    assert "PHANTOM" in said.out
    assert "was trained on all of the site's scans" in said.err
    assert asked_of_adapt["folder"] == site
    assert asked_of_adapt["base"] == project / "models" / "bundle"
    assert asked_of_adapt["settings"].seed == 5
    assert asked_of_adapt["accept_forgetting"] is False
    report = json.loads((project / "reports" / "external" / "elsewhere_adaptation.json").read_text())
    assert (report["schema"], report["site"], report["scans"]) == ("brainslice/adaptation/1", "elsewhere", 1)


def test_accept_forgetting(project: Path, asked_of_adapt: dict[str, Any], capsys: Capture) -> None:
    asked_of_adapt["error"] = ForgettingError("the adapted network forgets")
    assert call("adapt", "--project-root", project, *WORDS) == 2
    assert "forgets" in capsys.readouterr().err
    asked_of_adapt["error"] = None
    assert call("adapt", "--project-root", project, "--accept-forgetting", *WORDS) == 0
    assert asked_of_adapt["accept_forgetting"] is True
    assert asked_of_adapt["folder"] == project / "data" / "external_navoneel"
