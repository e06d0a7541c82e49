"""Folds and members trained in processes of their own, with equal results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.engine import ENGINES, run_all
from brainslice.errors import WorkerDiedError
from brainslice.paths import ProjectPaths
from brainslice.processes import Call
from brainslice.progress import Progress, silent
from brainslice.training import cross_validation, pipeline
from brainslice.training.cross_validation import FoldRun, cross_validate, plan_fold, train_in_processes, train_once
from brainslice.training.ensemble import train_members
from killed_runs import contents
from process_calls import is_running, wait_until
from ray_nodes import ray_nodes
from small_training import SMALL, small_call, small_network
from stand_in import FOLDS, config, copy_project, write_bundle_for

WORDS = (*SMALL, "train.batch_size=4", "log.tensorboard=false")


Listen = Callable[[Call, Mapping[str, Any]], None]


def run_here(calls: Sequence[Call], _workers: int, listen: Listen, engine: str) -> list[Any]:
    """Call the functions in this process, with arguments that were JSON."""
    assert engine in ENGINES

    def run(call: Call) -> object:
        function = getattr(cross_validation, call.function.split(":")[1])
        return function(json.loads(json.dumps(call.arguments)), lambda message: listen(call, message))

    return [run(call) for call in calls]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the trainings; each is replaced by writing a bundle."""
    names: list[str] = []

    def train(paths: ProjectPaths, settings: Config, *, assignment: SplitAssignment, progress: Progress) -> ModelBundle:
        progress("training", 1, 1)
        names.append(paths.models.name)
        return write_bundle_for(paths, settings, assignment)

    monkeypatch.setattr(cross_validation, "train", train)
    monkeypatch.setattr(cross_validation, "run_all", run_here)
    return names


def test_every_fold_has_a_call_and_is_then_scored(project: Path, trained: list[str]) -> None:
    shown: set[str] = set()
    result = cross_validate(project, config(), lambda step, *_: shown.add(step), workers=2)
    assert trained == [f"fold_{number}" for number in range(FOLDS)]
    assert "fold 1: training" in shown
    assert result.test_accesses == (1, 1, 1)
    cross_validate(project, config(), workers=2)
    assert len(trained) == FOLDS


def test_every_member_has_a_call(project: Path, trained: list[str]) -> None:
    bundles = train_members(project, config("data.test_fold=1"), workers=1)
    assert trained == ["fold_1", "fold_1_chosen_on_0"] == [bundle.parent.name for bundle in bundles]


TIMED = ("bundle.json", "test_ledger.jsonl", "report.json")
"""Files that hold the time; a bundle's digest covers the rest of its description."""


def folds_of(root: Path) -> list[FoldRun]:
    """Plan two folds of a prepared project."""
    manifest = Manifest.read(root / "data")
    return [plan_fold(root, config(*WORDS), manifest, number) for number in (0, 1)]


def weights_and_graph(fold: FoldRun) -> tuple[str, str]:
    info = open_bundle(fold.paths.bundle).info
    return info.provenance.weights_digest, info.files[GRAPH_FILE]


def run_small(calls: Sequence[Call], workers: int, listen: Listen, engine: str) -> list[Any]:
    """Call the functions in processes of their own, with a few layers as the backbone."""
    return run_all([small_call(call.function, call.arguments, call.name) for call in calls], workers, listen, engine)


def kill_when_training(folder: Path, done: threading.Event, killed: list[int]) -> None:
    """Kill the processes of these tests that train, when the first checkpoint is written to a folder."""
    while not list(folder.glob("unfinished/*.npz")):
        if done.wait(0.02):
            return
    for pattern in (f"-P {os.getpid()} -f brainslice.processes", "-f ^ray::_call_on_ray"):
        found = subprocess.run(["pgrep", *pattern.split()], capture_output=True, text=True, check=False)
        killed += [int(process) for process in found.stdout.split()]
    for process in killed:
        os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def trained_here(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Weights and graphs of two folds that were trained in this process."""
    folds = folds_of(copy_project(prepared, tmp_path_factory.mktemp("here") / "project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "build_network", small_network)
        for fold in folds:
            train_once(fold, silent)
    return [weights_and_graph(fold) for fold in folds]


@pytest.mark.slow_only
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the process to kill by its command")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", ["local", "ray", "two nodes"])
def test_processes_give_the_bytes_of_one_process_also_when_killed(
    place: str,
    workers: int,
    prepared: Path,
    trained_here: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: set[str] = set()

    def run(calls: Sequence[Call], workers: int, listen: Listen, engine: str) -> list[Any]:
        def each(call: Call, message: Mapping[str, Any]) -> None:
            used.update([message["node"]] if "node" in message else [])
            listen(call, message)

        return run_small(calls, workers, each, engine)

    monkeypatch.setattr(cross_validation, "run_all", run)
    if place != "local":
        pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
        # Ray's workers import modules of the tests.
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    folds = folds_of(copy_project(prepared, tmp_path / "project"))
    done, killed = threading.Event(), list[int]()
    killer = threading.Thread(target=kill_when_training, args=(folds[0].paths.models, done, killed), daemon=True)
    with ray_nodes(2) if place == "two nodes" else nullcontext():
        killer.start()
        train_in_processes(folds, workers, silent, "local" if place == "local" else "ray")
        done.set()
    killer.join()
    assert killed
    assert [weights_and_graph(fold) for fold in folds] == trained_here
    assert place != "two nodes" or len(used) >= workers


KILLS = (
    *("message|training the head|2", "written|.head.tmp-|2"),
    *("fsync|.head.tmp-|1", "message|training the tail|1"),
    *("rename|.head.tmp-|1", "message|training the tail|5"),
    *("rename|.tail.tmp-|1", "rename|bundle|1"),
    *("written|.tail.tmp-|2", "fsync|best|1"),
)
"""When workers are killed: in batches, in saves of both stages, and while the bundle is written; two a fold and run."""


@pytest.mark.slow_only
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="names files of descriptors by /proc")
def test_ray_workers_killed_ten_times_lose_nothing(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "build_network", small_network)
    kills = tmp_path / "kills"
    kills.mkdir()
    for number, kill in enumerate(KILLS):
        (kills / f"{number:02}").write_text(kill)

    def run(calls: Sequence[Call], workers: int, listen: Listen, engine: str) -> list[Any]:
        given = [
            {"kills": str(kills), "fold": call.name, "call": small_call(*astuple(call)).arguments} for call in calls
        ]
        named = zip(given, calls, strict=True)
        return run_all(
            [Call("killed_runs:train_and_be_killed", words, call.name) for words, call in named],
            workers,
            listen,
            engine,
        )

    whole, killed = (copy_project(prepared, tmp_path / name / "project") for name in ("whole", "killed"))
    with ray_nodes(1):
        cross_validate(whole, config(*WORDS))
        monkeypatch.setattr(cross_validation, "run_all", run)
        # A fold whose worker was killed twice ends the command, after the other folds.
        for _ in range(2):
            with pytest.raises(WorkerDiedError):
                cross_validate(killed, config(*WORDS), workers=1, engine="ray")
        cross_validate(killed, config(*WORDS), workers=1, engine="ray")
    messages = [json.loads(line) for line in (kills / "messages.txt").read_text().splitlines()]
    workers = {process for process, *_ in messages}
    assert len(workers) == len(KILLS) + FOLDS, "each worker but the last of each fold was killed"
    assert wait_until(lambda: not any(map(is_running, workers)))
    check_batches(messages)
    one, two = (contents(root, without=TIMED) for root in (whole, killed))
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []
    for number in range(FOLDS):
        bundle = Path("models", "crossval", f"fold_{number}", "bundle")
        assert open_bundle(whole / bundle).info.digest == open_bundle(killed / bundle).info.digest


def check_batches(messages: Sequence[Sequence[Any]]) -> None:
    """Check that each batch follows the one before it, or begins its epoch again."""
    last: dict[tuple[str, str], int] = {}
    for _, fold, *progress in messages:
        if not (progress and progress[0].startswith("training the ")):
            continue
        stage, done, total = progress
        before, batches = last.get((fold, stage), 0), total // 2
        assert done in {before + 1, (before - 1) // batches * batches + 1, total}, (fold, stage, before, done)
        last[fold, stage] = done
    assert len(last) == 2 * FOLDS
