from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.config import Config
from brainslice.places import Places
from brainslice.progress import Progress
from brainslice.train import crossval
from command import WORDS, call
from stand_in import write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _drawn_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(places: Places, config: Config, *, progress: Progress) -> None:
        progress("training", 1, 1)
        write_bundle_for(places, config)

    monkeypatch.setattr(crossval, "train", train)


def test_shows_every_fold_their_spread_and_all_together(project: Path, capsys: Capture) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", "3") == 0
    said = capsys.readouterr()
    for part in ("fold 0", "fold 2", "mean ± sd", "accuracy", "tumour_auc", "[phantom]", "n = 44 scans", "floor"):
        assert part in said.out
    assert "crossval.json" in said.err


def test_another_number_of_folds_than_configured_is_refused(project: Path, capsys: Capture) -> None:
    assert call("crossval", "--project-root", project, *WORDS, "--folds", "5") == 2
    assert "--set data.folds=5" in capsys.readouterr().err
    assert not (project / "models").exists()
