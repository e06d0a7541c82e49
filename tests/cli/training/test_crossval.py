from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.config import Config
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress
from brainslice.training import cross_validation
from command import WORDS, call
from stand_in import write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _drawn_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(places: ProjectPaths, config: Config, *, assignment: SplitAssignment, progress: Progress) -> None:
        progress("training", 1, 1)
        write_bundle_for(places, config, assignment)

    monkeypatch.setattr(cross_validation, "train", train)


def test_shows_every_fold_their_spread_and_all_together(project: Path, capsys: Capture) -> None:
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


def test_another_number_of_folds_than_prepared_is_dealt_anew(project: Path, capsys: Capture) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", "4") == 0
    said = capsys.readouterr()
    assert "4-fold cross-validation by group" in said.out
    assert "prepared with 3 folds" in said.err


@pytest.mark.parametrize("folds", ["2", "21"])
def test_a_number_of_folds_that_cannot_be_is_refused(project: Path, capsys: Capture, folds: str) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", folds) == 2
    assert "folds" in capsys.readouterr().err
    assert not (project / "models").exists()
