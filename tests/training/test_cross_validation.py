from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import ModelBundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment, fold_count
from brainslice.errors import DatasetError, UsageError
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent
from brainslice.training import cross_validation
from brainslice.training.cross_validation import CrossValidation, FoldRun, cross_validate, plan_fold, train_once
from stand_in import FOLDS, config, copy_project, write_bundle_for


class Trainer:
    """Replacement of training that writes a bundle and counts its calls."""

    def __init__(self) -> None:
        self.trained: list[int] = []
        self.breaks_at: int | None = None

    def __call__(
        self, paths: ProjectPaths, settings: Config, *, assignment: SplitAssignment, progress: Progress
    ) -> ModelBundle:
        number = settings.data.test_fold
        if number == self.breaks_at:
            raise KeyboardInterrupt
        progress("training", 1, 1)
        self.trained.append(number)
        return write_bundle_for(paths, settings, assignment)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    stand_in = Trainer()
    monkeypatch.setattr(cross_validation, "train", stand_in)
    return stand_in


@dataclass(frozen=True)
class Finished:
    """A cross-validation that was interrupted at its second fold and then went on."""

    root: Path
    result: CrossValidation
    trained: tuple[int, ...]


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    root = copy_project(prepared, tmp_path_factory.mktemp("crossval") / "project")
    trainer = Trainer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation, "train", trainer)
        trainer.breaks_at = 1
        with pytest.raises(KeyboardInterrupt):
            cross_validate(root, config())
        trainer.breaks_at = None
        return Finished(root, cross_validate(root, config()), tuple(trainer.trained))


@pytest.fixture
def again(finished: Finished, trainer: Trainer, tmp_path: Path) -> Path:
    """The finished one's project, to go on in."""
    assert trainer.trained == []
    return copy_project(finished.root, tmp_path / "again")


def test_every_scan_is_tested_once(finished: Finished) -> None:
    result, manifest = finished.result, Manifest.read(finished.root / "data")
    assert result.pooled.n == len(manifest.records) == sum(fold.n for fold in result.folds)
    assert result.pooled.groups == sum(fold.groups for fold in result.folds) == len(np.unique(manifest.group_indices))
    assert result.test_accesses == (1, 1, 1)


def test_interrupted_cross_validation_resumes(finished: Finished) -> None:
    assert finished.trained == (0, 1, 2)


def test_pooled_accuracy_is_the_weighted_mean_of_the_folds(finished: Finished) -> None:
    result = finished.result
    values = [fold.score("accuracy").value for fold in result.folds]
    weighted = np.average(values, weights=[fold.n for fold in result.folds])
    assert result.pooled.score("accuracy").value == pytest.approx(weighted)
    assert result.spread("accuracy") == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    assert result.pooled.baseline is not None


def test_abstention_is_pooled(finished: Finished) -> None:
    pooled, folds = finished.result.pooled.abstention, [fold.abstention for fold in finished.result.folds]
    assert pooled is not None
    referred = [each.referred for each in folds if each is not None]
    assert pooled.referred.n == sum(each.n for each in referred)
    assert pooled.referred.value == pytest.approx(
        np.average([each.value or 0.0 for each in referred], weights=[each.n for each in referred])
    )
    assert sum(pooled.reasons.values()) == sum(sum(each.reasons.values()) for each in folds if each is not None)


def test_results_are_written(finished: Finished) -> None:
    result = finished.result
    assert result.path == finished.root / "reports" / "crossval" / "crossval.json"
    content = json.loads(result.path.read_text())
    assert len(content["folds"]) == FOLDS
    assert content["out_of_fold"]["split"] == "out of fold"
    assert content["out_of_fold"]["warnings"] == ["phantom"]
    assert content["mean_and_standard_deviation"]["accuracy"]["mean"] == pytest.approx(result.spread("accuracy")[0])


def test_bundle_and_reports_of_the_project_are_unchanged(finished: Finished) -> None:
    assert [path.name for path in (finished.root / "models").iterdir()] == ["crossval"]
    assert sorted(path.name for path in (finished.root / "reports").iterdir()) == ["crossval", "test_ledger.jsonl"]


@pytest.mark.parametrize("word", ["seed=42", "log.csv=false"])
def test_finished_folds_are_neither_trained_nor_scored_again(
    finished: Finished, trainer: Trainer, again: Path, word: str
) -> None:
    result = cross_validate(again, config(word))
    assert trainer.trained == []
    assert result.test_accesses == (1, 1, 1)
    assert result.to_json() == finished.result.to_json()


def test_other_settings_train_every_fold_again(trainer: Trainer, again: Path) -> None:
    trainer.breaks_at = 0
    with pytest.raises(KeyboardInterrupt):
        cross_validate(again, config("train.lr=0.5"))


def test_damaged_fold_raises(trainer: Trainer, again: Path) -> None:
    kept = again / "reports" / "crossval" / "fold_1.npz"
    kept.write_bytes(kept.read_bytes()[:500])
    with pytest.raises(UsageError, match=r"fold_1\.npz.*delete it"):
        cross_validate(again, config())
    assert trainer.trained == []


def test_trained_fold_is_scored_without_training_again(
    trainer: Trainer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = cross_validation.evaluate_test_set

    def interrupted(
        paths: ProjectPaths, settings: Config, progress: Progress, *, assignment: SplitAssignment
    ) -> ScoredTestSet:
        if settings.data.test_fold == 1:
            raise KeyboardInterrupt
        return evaluate(paths, settings, progress, assignment=assignment)

    with monkeypatch.context() as patch:
        patch.setattr(cross_validation, "evaluate_test_set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(project, config())
    assert trainer.trained == [0, 1]
    assert cross_validate(project, config()).test_accesses == (1, 1, 1)
    assert trainer.trained == [0, 1, 2]


def test_other_number_of_folds_is_assigned_by_group(trainer: Trainer, project: Path) -> None:
    prepared = Manifest.read(project / "data")
    result = cross_validate(project, config("data.folds=4"))
    assert trainer.trained == [0, 1, 2, 3]
    assert result.pooled.n == len(prepared.records)
    assert result.pooled.groups == sum(fold.groups for fold in result.folds)
    assert fold_count(Manifest.read(project / "data")) == FOLDS


@pytest.mark.usefixtures("trainer")
def test_missing_set_names_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run brainslice prepare"):
        cross_validate(tmp_path, config())


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Model folders of all trainings; each is replaced by writing a bundle."""
    folders: list[Path] = []

    def train(paths: ProjectPaths, settings: Config, *, assignment: SplitAssignment, progress: Progress) -> ModelBundle:
        progress("training", 1, 1)
        folders.append(paths.models)
        return write_bundle_for(paths, settings, assignment)

    monkeypatch.setattr(cross_validation, "train", train)
    return folders


def fold_run(project: Path, *overrides: str, test: int = 0, choose: int | None = None) -> FoldRun:
    return plan_fold(project, config(*overrides), Manifest.read(project / "data"), test, choose)


def test_fold_is_trained_once(project: Path, trained: list[Path]) -> None:
    first = train_once(fold_run(project), silent)
    assert train_once(fold_run(project), silent).info.digest == first.info.digest
    assert trained == [project / "models" / "crossval" / "fold_0"]


def test_default_validation_fold_is_the_same_training(project: Path, trained: list[Path]) -> None:
    train_once(fold_run(project, test=2), silent)
    train_once(fold_run(project, test=2, choose=0), silent)
    assert len(trained) == 1


def test_other_validation_fold_has_its_own_folder(project: Path, trained: list[Path]) -> None:
    usual, other = fold_run(project), fold_run(project, choose=2)
    assert usual.assignment.split.test.tolist() == other.assignment.split.test.tolist()
    assert other.assignment.split.validation.tolist() == fold_run(project, test=1).assignment.split.validation.tolist()
    train_once(usual, silent)
    train_once(other, silent)
    assert [folder.name for folder in trained] == ["fold_0", "fold_0_chosen_on_2"]
    assert other.fingerprint != usual.fingerprint


def test_other_settings_train_again(project: Path, trained: list[Path]) -> None:
    train_once(fold_run(project), silent)
    train_once(fold_run(project, "train.lr=0.5"), silent)
    assert len(trained) == 2


@pytest.mark.parametrize(
    "word", ["log.csv=false", "inference.threshold=0.3", "data.test_fold=2", "data.cache=elsewhere", "adapt.steps=7"]
)
def test_settings_of_later_steps_do_not_train_again(project: Path, word: str) -> None:
    assert fold_run(project, word).fingerprint == fold_run(project).fingerprint


@pytest.mark.parametrize("spoil", ["bundle", "receipt", "graph"])
def test_damaged_fold_is_trained_again(project: Path, trained: list[Path], spoil: str) -> None:
    run = fold_run(project)
    train_once(run, silent)
    spoilt = {
        "bundle": run.paths.bundle / "bundle.json",
        "receipt": run.paths.models / "trained.json",
        "graph": run.paths.bundle / GRAPH_FILE,
    }[spoil]
    spoilt.write_bytes(spoilt.read_bytes()[:-9])
    train_once(run, silent)
    assert len(trained) == 2


def test_bundle_of_another_training_is_not_reused(project: Path, trained: list[Path]) -> None:
    run = fold_run(project)
    train_once(run, silent)
    write_bundle_for(run.paths, run.config, run.assignment, slopes=tuple(np.zeros(4)))
    train_once(run, silent)
    assert len(trained) == 2


def test_missing_fold_raises(project: Path) -> None:
    with pytest.raises(UsageError, match="test fold must be from 0 to 2, got 3"):
        fold_run(project, test=3)
