from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import kagglehub
import pytest

from brainslice.cli import evaluation, pipeline, threshold, training
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.errors import CalibrationError, ForgettingError
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from command import WORDS, call

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Keep in which order and how the long steps were called."""
    found: list[tuple[object, ...]] = []

    def train_one(places: ProjectPaths, config: Config, accept_leaks: bool) -> None:  # noqa: FBT001 - as it is called
        found.append(("train", config.data.protocol, places.models.name, accept_leaks))

    def evaluate_one(_: ProjectPaths, config: Config, overlays: int) -> None:
        found.append(("evaluate", config.data.protocol, overlays))

    def adapt_one(_: ProjectPaths, __: Config, data: Path, bundle: Path | None, *, accept_forgetting: bool) -> None:
        found.append(("adapt", data.name, bundle, accept_forgetting))

    def validate(_: ProjectPaths, __: Config, data: Path, bundles: list[Path] | None = None) -> None:
        found.append(("external", data.name, bundles and [path.name for path in bundles]))

    def threshold_one(places: ProjectPaths, config: Config, sensitivity: float) -> None:
        found.append(("threshold", config.data.protocol, places.models.name, sensitivity))

    monkeypatch.setattr(training, "adapt_one", adapt_one)
    monkeypatch.setattr(evaluation, "validate_one", validate)
    monkeypatch.setattr(threshold, "threshold_one", threshold_one)
    monkeypatch.setattr(training, "train_one", train_one)
    monkeypatch.setattr(evaluation, "evaluate_one", evaluate_one)
    monkeypatch.setattr(evaluation, "summary", lambda root, *_: found.append(("summary", root)))
    monkeypatch.setattr(evaluation, "report", lambda root: found.append(("report", root)))
    return found


@pytest.fixture
def source(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared / "source", tmp_path / "source"))


def test_run_both_protocols(source: Path, steps: list[tuple[object, ...]], tmp_path: Path, capsys: Capture) -> None:
    assert call("run", "--source", source, "--project-root", tmp_path, *WORDS) == 0
    assert steps == [
        ("train", "clean", "models", False),
        ("threshold", "clean", "models", 0.95),
        ("evaluate", "clean", 8),
        ("train", "official", "official", True),
        ("threshold", "official", "official", 0.95),
        ("evaluate", "official", 8),
        ("summary", tmp_path),
        ("report", tmp_path),
    ]
    assert Manifest.read(tmp_path / "data").phantom
    assert "no --external set was given" in capsys.readouterr().err


def test_run_without_an_official_split(source: Path, steps: list[tuple[object, ...]], tmp_path: Path) -> None:
    shutil.rmtree(source / "Testing")
    (source / "Training").rename(tmp_path / "flat")
    assert call("run", "--source", tmp_path / "flat", "--project-root", tmp_path, *WORDS) == 0
    assert [step[1] for step in steps[:-2]] == ["clean", "clean", "clean"]


def test_run_with_unreadable_files(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, capsys: Capture
) -> None:
    (source / "Training" / "glioma" / "broken.png").write_bytes(b"no picture")
    assert call("run", "--source", source, "--project-root", tmp_path, *WORDS) == 3
    said = capsys.readouterr().err
    assert "left out" in said
    assert "broken.png" in said
    assert len(steps) == 8


def test_run_with_an_external_set(source: Path, steps: list[tuple[object, ...]], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write_external_site(elsewhere, heads_per_kind=6, slices=1, seed=3)
    words = ("--source", source, "--external", elsewhere, "--project-root", tmp_path, *WORDS)
    assert call("run", *words) == 0
    assert [step for step in steps if step[0] in {"external", "adapt"}] == [
        ("external", "external_navoneel", ["bundle"]),
        ("adapt", "external_navoneel", None, False),
        ("external", "external_navoneel", None),
    ]
    manifest = Manifest.read(tmp_path / "data")
    assert manifest.exclusion is not None
    assert manifest.exclusion.paths == ()


def test_run_excludes_overlap_by_default(source: Path, steps: list[tuple[object, ...]], tmp_path: Path) -> None:
    other = tmp_path / "other"
    for kind, label in (("glioma", "yes"), ("notumor", "no")):
        (other / label).mkdir(parents=True)
        scan = min((source / "Training" / kind).iterdir())
        shutil.copyfile(scan, other / label / "copied.png")
    words = ("--source", source, "--external", other, "--project-root", tmp_path, *WORDS)
    assert call("run", *words) == 0
    excluded = Manifest.read(tmp_path / "data").exclusion
    assert excluded is not None
    assert excluded.copies >= 2
    assert call("run", *words, "--keep-overlap") == 0
    assert Manifest.read(tmp_path / "data").exclusion is None
    assert steps


def test_run_continues_after_forgetting(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ForgettingError

    elsewhere = tmp_path / "elsewhere"
    write_external_site(elsewhere, heads_per_kind=6, slices=1, seed=3)
    monkeypatch.setattr(training, "adapt_one", refuse)
    assert call("run", "--source", source, "--external", elsewhere, "--project-root", tmp_path, *WORDS) == 0
    assert "no adapted bundle was written" in capsys.readouterr().err
    assert [step[0] for step in steps[-4:]] == ["evaluate", "external", "summary", "report"]


def test_run_without_source_and_network(
    steps: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(_: str) -> str:
        raise ConnectionError

    monkeypatch.setattr(kagglehub, "dataset_download", offline)
    assert call("run", "--project-root", tmp_path, *WORDS) == 7
    assert steps == []


def test_run_without_the_external_set(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def half_offline(name: str) -> str:
        if "navoneel" in name:
            raise ConnectionError
        return str(source)

    monkeypatch.setattr(kagglehub, "dataset_download", half_offline)
    assert call("run", "--project-root", tmp_path, *WORDS) == 0
    assert "continuing without another site's set" in capsys.readouterr().err
    assert [step[0] for step in steps] == [*["train", "threshold", "evaluate"] * 2, "summary", "report"]


def test_run_continues_without_a_threshold(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def refuse(*_: object) -> None:
        msg = "no tumour is held out"
        raise CalibrationError(msg)

    monkeypatch.setattr(threshold, "threshold_one", refuse)
    assert call("run", "--source", source, "--project-root", tmp_path, *WORDS) == 0
    assert "no operating point was stored: no tumour is held out" in capsys.readouterr().err
    assert [step[0] for step in steps] == ["train", "evaluate", "train", "evaluate", "summary", "report"]


def test_a_set_without_a_healthy_class_has_no_threshold_and_no_other_site(
    source: Path, steps: list[tuple[object, ...]], tmp_path: Path, capsys: Capture
) -> None:
    for folder in sorted(source.glob("*/no*")):
        shutil.rmtree(folder)
    words = ("run", "--source", source, "--project-root", tmp_path / "project", *WORDS)
    assert call(*words, "--external", source) == 2
    assert "--external needs a set with a healthy class" in capsys.readouterr().err
    assert not steps
    assert call(*words) == 0
    assert "no operating point was stored: no class is healthy" in capsys.readouterr().err
    assert [step[0] for step in steps] == ["train", "evaluate", "train", "evaluate", "summary", "report"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    monkeypatch.setattr(pipeline, "run", lambda **words: found.update(words))
    return found


def test_demo_runs_on_phantoms(asked: dict[str, Any], tmp_path: Path, capsys: Capture) -> None:
    assert call("demo", "--project-root", tmp_path, "--patients", "10", "--seed", "5") == 0
    assert json.loads((asked["source"] / "dataset.json").read_text())["name"] == "phantom"
    assert (asked["root"], asked["seed"]) == (tmp_path, 5)
    assert "model.weights=shipped" in asked["overrides"]
    assert {folder.name for folder in asked["external"].iterdir()} == {"yes", "no"}
    assert "phantoms" in capsys.readouterr().err


def test_too_few_patients_are_refused(asked: dict[str, Any], tmp_path: Path) -> None:
    assert call("demo", "--project-root", tmp_path, "--patients", "3") == 2
    assert not asked
