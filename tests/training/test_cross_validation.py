from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import ModelBundle
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment, fold_count
from brainslice.errors import DatasetError, UsageError
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress
from brainslice.training import cross_validation, fold
from brainslice.training.cross_validation import CrossValidation, cross_validate
from stand_in import FOLDS, config, copy_project, write_bundle_for


class Trainer:
    """Stands in for training: leaves a bundle at once, and counts."""

    def __init__(self) -> None:
        self.trained: list[int] = []
        self.breaks_at: int | None = None

    def __call__(
        self, places: ProjectPaths, settings: Config, *, division: SplitAssignment, progress: Progress
    ) -> ModelBundle:
        number = settings.data.test_fold
        if number == self.breaks_at:
            raise KeyboardInterrupt
        progress("training", 1, 1)
        self.trained.append(number)
        return write_bundle_for(places, settings, division)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    stand_in = Trainer()
    monkeypatch.setattr(fold, "train", stand_in)
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
        patch.setattr(fold, "train", trainer)
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
    assert result.openings == (1, 1, 1)


def test_an_interrupted_one_goes_on_with_the_fold_it_was_at(finished: Finished) -> None:
    assert finished.trained == (0, 1, 2)


def test_the_pooled_accuracy_is_the_folds_weighted_by_their_scans(finished: Finished) -> None:
    result = finished.result
    values = [fold.score("accuracy").value for fold in result.folds]
    weighted = np.average(values, weights=[fold.n for fold in result.folds])
    assert result.pooled.score("accuracy").value == pytest.approx(weighted)
    assert result.spread("accuracy") == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    assert result.pooled.baseline is not None


def test_what_is_left_to_a_person_is_told_of_all_scans(finished: Finished) -> None:
    pooled, folds = finished.result.pooled.abstention, [fold.abstention for fold in finished.result.folds]
    assert pooled is not None
    referred = [each.referred for each in folds if each is not None]
    assert pooled.referred.n == sum(each.n for each in referred)
    assert pooled.referred.value == pytest.approx(
        np.average([each.value or 0.0 for each in referred], weights=[each.n for each in referred])
    )
    assert sum(pooled.reasons.values()) == sum(sum(each.reasons.values()) for each in folds if each is not None)


def test_what_it_found_is_saved(finished: Finished) -> None:
    result = finished.result
    assert result.path == finished.root / "reports" / "crossval" / "crossval.json"
    said = json.loads(result.path.read_text())
    assert len(said["folds"]) == FOLDS
    assert said["out_of_fold"]["split"] == "out of fold"
    assert said["out_of_fold"]["warnings"] == ["phantom"]
    assert said["mean_and_standard_deviation"]["accuracy"]["mean"] == pytest.approx(result.spread("accuracy")[0])


def test_the_project_s_own_bundle_and_reports_are_left_alone(finished: Finished) -> None:
    assert [path.name for path in (finished.root / "models").iterdir()] == ["crossval"]
    assert sorted(path.name for path in (finished.root / "reports").iterdir()) == ["crossval", "test_ledger.jsonl"]


@pytest.mark.parametrize("word", ["seed=42", "log.csv=false"])
def test_finished_folds_are_not_trained_or_opened_again(
    finished: Finished, trainer: Trainer, again: Path, word: str
) -> None:
    result = cross_validate(again, config(word))
    assert trainer.trained == []
    assert result.openings == (1, 1, 1)
    assert result.to_json() == finished.result.to_json()


def test_other_settings_train_every_fold_again(trainer: Trainer, again: Path) -> None:
    trainer.breaks_at = 0
    with pytest.raises(KeyboardInterrupt):
        cross_validate(again, config("train.lr=0.5"))


def test_a_damaged_fold_is_one_line(trainer: Trainer, again: Path) -> None:
    kept = again / "reports" / "crossval" / "fold_1.npz"
    kept.write_bytes(kept.read_bytes()[:500])
    with pytest.raises(UsageError, match=r"fold_1\.npz.*delete it"):
        cross_validate(again, config())
    assert trainer.trained == []


def test_a_fold_interrupted_before_it_was_scored_is_scored_without_training_it_again(
    trainer: Trainer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = cross_validation.evaluate_test_set

    def interrupted(
        places: ProjectPaths, settings: Config, progress: Progress, *, division: SplitAssignment
    ) -> ScoredTestSet:
        if settings.data.test_fold == 1:
            raise KeyboardInterrupt
        return judge(places, settings, progress, division=division)

    with monkeypatch.context() as patch:
        patch.setattr(cross_validation, "evaluate_test_set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(project, config())
    assert trainer.trained == [0, 1]
    assert cross_validate(project, config()).openings == (1, 1, 1)
    assert trainer.trained == [0, 1, 2]


def test_another_number_of_folds_than_prepared_is_dealt_by_group(trainer: Trainer, project: Path) -> None:
    prepared = Manifest.read(project / "data")
    result = cross_validate(project, config("data.folds=4"))
    assert trainer.trained == [0, 1, 2, 3]
    assert result.pooled.n == len(prepared.records)
    assert result.pooled.groups == sum(fold.groups for fold in result.folds)
    assert fold_count(Manifest.read(project / "data")) == FOLDS


@pytest.mark.usefixtures("trainer")
def test_without_a_prepared_set_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run brainslice prepare"):
        cross_validate(tmp_path, config())
