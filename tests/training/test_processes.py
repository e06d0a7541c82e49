"""Folds and members trained in processes of their own, with equal results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.engine import ENGINES, run_all
from brainslice.paths import ProjectPaths
from brainslice.processes import Call
from brainslice.progress import Progress, silent
from brainslice.training import cross_validation, pipeline
from brainslice.training.cross_validation import FoldRun, cross_validate, plan_fold, train_in_processes, train_once
from brainslice.training.ensemble import train_members
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


@pytest.mark.slow_only
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the process to kill by its command")
@pytest.mark.parametrize(("engine", "workers"), [("local", 2), ("ray", 1), ("ray", 2)])
def test_processes_give_the_bytes_of_one_process_also_when_killed(
    engine: str, workers: int, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
        # Ray's workers import modules of the tests.
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setattr(pipeline, "build_network", small_network)
    monkeypatch.setattr(cross_validation, "run_all", run_small)
    here, there = (copy_project(prepared, tmp_path / name) for name in ("here", "there"))
    manifest = Manifest.read(prepared / "data")
    ours, theirs = ([plan_fold(root, config(*WORDS), manifest, number) for number in (0, 1)] for root in (here, there))
    for fold in ours:
        train_once(fold, silent)
    done, killed = threading.Event(), list[int]()
    killer = threading.Thread(target=kill_when_training, args=(theirs[0].paths.models, done, killed), daemon=True)
    killer.start()
    train_in_processes(theirs, workers, silent, engine)
    done.set()
    killer.join()
    assert killed
    assert [weights_and_graph(fold) for fold in theirs] == [weights_and_graph(fold) for fold in ours]
