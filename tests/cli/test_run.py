from __future__ import annotations

import shutil
from pathlib import Path

import kagglehub
import pytest

from brainslice.cli import evaluate, run, summary, train
from brainslice.cohort.manifest import Manifest
from brainslice.config import Config
from brainslice.places import Places
from command import WORDS, call

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Keep in which order and how the long steps were called."""
    found: list[tuple[object, ...]] = []

    def train_one(places: Places, config: Config, accept_leaks: bool) -> None:  # noqa: FBT001 - as it is called
        found.append(("train", config.data.protocol, places.models.name, accept_leaks))

    def evaluate_one(_: Places, config: Config, overlays: int) -> None:
        found.append(("evaluate", config.data.protocol, overlays))

    monkeypatch.setattr(train, "train_one", train_one)
    monkeypatch.setattr(evaluate, "evaluate_one", evaluate_one)
    monkeypatch.setattr(summary, "summary", lambda root, *_: found.append(("summary", root)))
    assert run.training is train
    return found


@pytest.fixture
def source(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared / "source", tmp_path / "source"))


def test_prepares_trains_evaluates_under_both_protocols_and_sums_up(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, capsys: Capture
) -> None:
    assert call("run", "--source", source, "--project-root", tmp_path, *WORDS) == 0
    assert steps == [
        ("train", "clean", "models", False),
        ("evaluate", "clean", 8),
        ("train", "official", "official", True),
        ("evaluate", "official", 8),
        ("summary", tmp_path),
    ]
    assert Manifest.read(tmp_path / "data").phantom
    assert "next version" in capsys.readouterr().err


def test_a_set_without_a_test_folder_has_no_official_protocol(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path
) -> None:
    shutil.rmtree(source / "Testing")
    (source / "Training").rename(tmp_path / "flat")
    assert call("run", "--source", tmp_path / "flat", "--project-root", tmp_path, *WORDS) == 0
    assert [step[1] for step in steps[:-1]] == ["clean", "clean"]


def test_unreadable_files_are_told_and_do_not_stop_it(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, capsys: Capture
) -> None:
    (source / "Training" / "glioma" / "broken.png").write_bytes(b"no picture")
    assert call("run", "--source", source, "--project-root", tmp_path, *WORDS) == 3
    said = capsys.readouterr().err
    assert "left out" in said
    assert "broken.png" in said
    assert len(steps) == 5


def test_the_external_set_is_laid_out_too(source: Path, steps: list[tuple[object, ...]], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(source / "Training" / "glioma", other / "yes")
    shutil.copytree(source / "Training" / "notumor", other / "no")
    words = ("--source", source, "--external", other, "--project-root", tmp_path, *WORDS)
    assert call("run", *words) == 0
    assert steps
    assert (tmp_path / "data" / "external_navoneel" / "yes").is_dir()


def test_where_no_source_is_given_and_no_network_is_there_nothing_is_trained(
    steps: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(_: str) -> str:
        raise ConnectionError

    monkeypatch.setattr(kagglehub, "dataset_download", offline)
    assert call("run", "--project-root", tmp_path, *WORDS) == 7
    assert steps == []
