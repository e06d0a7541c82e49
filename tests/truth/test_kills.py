"""Commands killed by SIGKILL inside writes: the next run gives the bytes of an unbroken one, and no more files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from brainslice.bundle.store import open_bundle
from brainslice.phantom import write_external_site, write_phantoms
from killed_runs import FINISHED, KILLED, Run, contents, run_all
from stand_in import copy_project, prepare_project

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="names files of descriptors by /proc"),
]

TIMED = ("bundle.json", "test_ledger.jsonl", "report.json")
"""Files that hold the time; a bundle's digest covers the rest of its description."""

WRITES = 36
"""More flushes and renames than a preparation makes."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_project(tmp_path_factory.mktemp("killed") / "project")


def check_chain(
    command: str, root: Path, tmp_path: Path, kills: list[tuple[str, str, int]], settings: Sequence[str] = ()
) -> None:
    """Run once unbroken, and once killed again and again; compare all files in and beside the project."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    first, second = (str(copy_project(root, folder / "project")) for folder in (whole, killed))
    runs = [Run(command, second, *kill, settings=settings) for kill in kills]
    last = Run(command, second, settings=settings)
    statuses = run_all([Run(command, first, settings=settings), *runs, last])
    assert statuses == [FINISHED, *[KILLED] * len(kills), FINISHED]
    one, two = (contents(each, without=TIMED) for each in (whole, killed))
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []
    bundles = sorted(path.parent.relative_to(whole) for path in whole.rglob("bundle.json"))
    assert bundles
    for bundle in bundles:
        assert open_bundle(whole / bundle).info.digest == open_bundle(killed / bundle).info.digest


@pytest.mark.slow_only
def test_prepare_killed_at_every_write(tmp_path: Path) -> None:
    source, whole, killed = (tmp_path / name for name in ("source", "whole", "killed"))
    write_phantoms(source, patients_per_class=4, slices=2, seed=3)
    for root in (whole, killed):
        shutil.copytree(source, root / "source")
    # Each run begins with what the one before left: at first nothing, in the second round a prepared set.
    rounds = [Run("prepare", str(killed), "any", "", number) for _ in range(2) for number in range(1, WRITES)]
    statuses = run_all([Run("prepare", str(whole)), *rounds, Run("prepare", str(killed))])
    assert set(statuses) == {KILLED, FINISHED}
    assert statuses[WRITES - 1] == statuses[-2] == FINISHED, "not every write was met"
    sys.stdout.write(f"killed {statuses.count(KILLED)} times\n")
    one, two = (
        {name: data.replace(bytes(root), b"") for name, data in contents(root).items()} for root in (whole, killed)
    )
    assert one == two
    assert sorted(path.name for path in whole.iterdir()) == sorted(path.name for path in killed.iterdir())


@pytest.mark.slow_only
def test_training_killed_inside_saves_of_both_stages(prepared: Path, tmp_path: Path) -> None:
    kills = [
        ("written", "head", 1),
        ("fsync", "head", 2),
        ("rename", "tail", 1),
        ("written", "tail", 2),
        ("renamed", "tail", 1),
        ("rename", "bundle", 1),
        ("fsync", "best", 1),
    ]
    check_chain("train", prepared, tmp_path, kills)


@pytest.mark.slow_only
def test_training_with_the_recipe_full_killed_inside_saves_of_both_stages(prepared: Path, tmp_path: Path) -> None:
    kills = [
        ("written", ".head.tmp-", 1),
        ("fsync", ".head.tmp-", 1),
        ("rename", ".all.tmp-", 1),
        ("written", ".all.tmp-", 2),
        ("renamed", ".all.tmp-", 1),
        ("rename", "bundle", 1),
        ("fsync", "best", 1),
    ]
    check_chain("train", prepared, tmp_path, kills, ("train.recipe=full",))


@pytest.mark.slow_only
def test_a_cache_beside_the_project_keeps_nothing_of_killed_runs(prepared: Path, tmp_path: Path) -> None:
    kills = [
        ("fsync", "cache/.scans-", 1),
        ("rename", "cache/.scans-", 1),
        ("renamed", "cache/.scans-", 1),
        ("fsync", "cache/.activations-", 1),
        ("rename", "cache/.activations-", 1),
        ("renamed", "cache/.activations-", 1),
    ]
    check_chain("train", prepared, tmp_path, kills, ("data.cache=../cache",))


@pytest.mark.slow_only
def test_cross_validation_killed_within_and_between_folds(prepared: Path, tmp_path: Path) -> None:
    kills = [
        ("written", "tail", 1),
        ("renamed", "trained.json", 1),
        ("renamed", "fold_0.npz", 1),
        ("rename", "tail", 1),
        ("fsync", "crossval.tmp", 1),
    ]
    check_chain("crossval", prepared, tmp_path, kills)


@pytest.mark.slow_only
def test_adaptation_killed_inside_its_saves(prepared: Path, tmp_path: Path) -> None:
    root = copy_project(prepared, tmp_path / "trained")
    write_external_site(root / "elsewhere", heads_per_kind=9, slices=1, seed=3)
    assert run_all([Run("train", str(root))]) == [FINISHED]
    kills = [
        ("written", "unfinished_elsewhere/head", 3),
        ("rename", "unfinished_elsewhere/tail", 2),
        ("fsync", "adapted", 1),
        ("renamed", "adapted_elsewhere", 1),
        ("fsync", "finetuned", 1),
    ]
    check_chain("adapt", root, tmp_path, kills)
