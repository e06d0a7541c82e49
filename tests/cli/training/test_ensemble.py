from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainslice.bundle.store import open_bundle
from brainslice.config import Config
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress
from brainslice.training import cross_validation
from command import WORDS, call
from stand_in import SLOPES, config, write_bundle_for

Capture = pytest.CaptureFixture[str]


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


def test_trains_its_members_joins_and_tests_them_once(project: Path, trained: list[int], capsys: Capture) -> None:
    words = ("ensemble", "--project-root", project, *WORDS, "--test")
    assert call(*words) == 0
    said = capsys.readouterr()
    assert trained == [1, 2]
    assert open_bundle(project / "models" / "ensemble").info.ensemble is not None
    for part in ("[phantom]", "2 × none", "member 1", "gain over their mean", "accuracy", "nll"):
        assert part in said.out
    assert "approximation" in said.err
    gains = json.loads((project / "reports" / "ensemble" / "gains.json").read_text())
    assert set(gains) == {"accuracy", "nll"}
    assert len(gains["accuracy"]["members"]) == 2
    assert (project / "reports" / "ensemble" / "report.json").is_file()
    ledger = (project / "reports" / "test_ledger.jsonl").read_text()
    assert ledger.count("\n") == 1
    assert call(*words[:-1]) == 0
    assert trained == [1, 2]


def test_joins_the_bundles_it_is_given(project: Path, capsys: Capture) -> None:
    places = ProjectPaths.of(project, config())
    bundles = []
    for number in (1, 2):
        bundle = write_bundle_for(places, config(), slopes=tuple(slope * number for slope in SLOPES))
        bundles.append(bundle.folder.rename(project / f"member{number}"))
    assert call("ensemble", *bundles, "--output", project / "both", "--project-root", project, *WORDS) == 0
    assert "each judged by at least 2" in capsys.readouterr().out
    assert call("predict", project / "source" / "Testing" / "glioma", "--bundle", project / "both") == 0
    assert "mutual information" in capsys.readouterr().out


def test_one_bundle_is_no_ensemble(project: Path, capsys: Capture) -> None:
    bundle = write_bundle_for(ProjectPaths.of(project, config()), config())
    assert call("ensemble", bundle.folder, "--project-root", project, *WORDS) == 2
    assert "at least two bundles, got 1" in capsys.readouterr().err
