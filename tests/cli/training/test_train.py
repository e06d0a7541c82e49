from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.paths import ProjectPaths
from brainslice.phantom import draw_phantom
from brainslice.progress import Progress
from brainslice.training import pipeline
from brainslice.training.history import Epoch
from brainslice.training.pipeline import TrainingResult
from command import WORDS, call
from stand_in import write_bundle_for

Capture = pytest.CaptureFixture[str]
EPOCH = Epoch(1, "head", 0.01, 1.2, 0.4, 1.1, 0.5, 1.05)


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


def test_tells_where_the_bundle_is_and_how_it_did(
    project: Path, asked: list[tuple[Config, bool]], capsys: Capture
) -> None:
    assert call("train", "--project-root", project, *WORDS) == 0
    said = capsys.readouterr()
    assert f"bundle [phantom]: {project / 'models' / 'bundle'}" in said.out
    assert "chose the weights and the temperature" in said.out
    assert "temperature 1.500" in said.out
    assert "no temperature could be fitted" in said.err
    assert asked[0][1] is False


def test_what_was_asked_for_reaches_the_training(project: Path, asked: list[tuple[Config, bool]]) -> None:
    words = ("--protocol", "official", "--recipe", "full", "--weights", "own.h5", "--seed", "5", "--accept-leaks")
    assert call("train", "--project-root", project, *WORDS, *words) == 0
    ((config, accepted),) = asked
    assert (config.data.protocol, config.train.recipe, config.model.weights) == ("official", "full", "own.h5")
    assert (config.seed, accepted) == (5, True)
    assert (project / "models" / "official" / "bundle").is_dir()


def test_without_a_prepared_set_it_says_what_to_run(tmp_path: Path, capsys: Capture) -> None:
    assert call("train", "--project-root", tmp_path) == 3
    assert "run brainslice prepare" in capsys.readouterr().err


def test_a_leaky_split_is_a_usage_error(project: Path, capsys: Capture) -> None:
    assert call("train", "--project-root", project, *WORDS, "--protocol", "official") == 2
    assert "--accept-leaks" in capsys.readouterr().err


def test_another_site_s_pictures_leave_training_before_it_starts(
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
