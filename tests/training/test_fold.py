from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import ModelBundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.errors import UsageError
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent
from brainslice.training import fold
from brainslice.training.fold import FoldRun, plan_fold, train_once
from stand_in import config, write_bundle_for


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models' folders of all trainings there were; each leaves a bundle at once."""
    folders: list[Path] = []

    def train(places: ProjectPaths, settings: Config, *, division: SplitAssignment, progress: Progress) -> ModelBundle:
        progress("training", 1, 1)
        folders.append(places.models)
        return write_bundle_for(places, settings, division)

    monkeypatch.setattr(fold, "train", train)
    return folders


def plan(project: Path, *overrides: str, test: int = 0, choose: int | None = None) -> FoldRun:
    return plan_fold(project, config(*overrides), Manifest.read(project / "data"), test, choose)


def test_a_fold_is_trained_once_however_often_it_is_asked_for(project: Path, trained: list[Path]) -> None:
    first = train_once(plan(project), silent)
    assert train_once(plan(project), silent).info.digest == first.info.digest
    assert trained == [project / "models" / "crossval" / "fold_0"]


def test_naming_the_usual_fold_is_the_same_training(project: Path, trained: list[Path]) -> None:
    train_once(plan(project, test=2), silent)
    train_once(plan(project, test=2, choose=0), silent)
    assert len(trained) == 1


def test_choosing_on_another_fold_is_another_training_in_a_place_of_its_own(project: Path, trained: list[Path]) -> None:
    usual, other = plan(project), plan(project, choose=2)
    assert usual.assignment.split.test.tolist() == other.assignment.split.test.tolist()
    assert other.assignment.split.validation.tolist() == plan(project, test=1).assignment.split.validation.tolist()
    train_once(usual, silent)
    train_once(other, silent)
    assert [folder.name for folder in trained] == ["fold_0", "fold_0_chosen_on_2"]
    assert other.fingerprint != usual.fingerprint


def test_other_settings_train_again(project: Path, trained: list[Path]) -> None:
    train_once(plan(project), silent)
    train_once(plan(project, "train.lr=0.5"), silent)
    assert len(trained) == 2


@pytest.mark.parametrize(
    "word", ["log.csv=false", "inference.threshold=0.3", "data.test_fold=2", "data.cache=elsewhere", "adapt.steps=7"]
)
def test_settings_that_no_training_sees_change_nothing(project: Path, word: str) -> None:
    assert plan(project, word).fingerprint == plan(project).fingerprint


@pytest.mark.parametrize("spoil", ["bundle", "receipt", "graph"])
def test_what_is_damaged_is_trained_again(project: Path, trained: list[Path], spoil: str) -> None:
    here = plan(project)
    train_once(here, silent)
    spoilt = {
        "bundle": here.paths.bundle / "bundle.json",
        "receipt": here.paths.models / "trained.json",
        "graph": here.paths.bundle / GRAPH_FILE,
    }[spoil]
    spoilt.write_bytes(spoilt.read_bytes()[:-9])
    train_once(here, silent)
    assert len(trained) == 2


def test_a_bundle_that_another_training_left_there_is_not_taken(project: Path, trained: list[Path]) -> None:
    here = plan(project)
    train_once(here, silent)
    write_bundle_for(here.paths, here.config, here.assignment, slopes=tuple(np.zeros(4)))
    train_once(here, silent)
    assert len(trained) == 2


def test_a_fold_that_is_not_there_is_refused(project: Path) -> None:
    with pytest.raises(UsageError, match="test fold must be from 0 to 2, got 3"):
        plan(project, test=3)
