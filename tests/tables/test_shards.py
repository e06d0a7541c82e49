from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from brainslice.errors import MissingExtraError, UsageError
from brainslice.inference.predictor import Predictor
from brainslice.lazy import is_installed
from brainslice.processes import Call
from brainslice.tables import shards
from brainslice.tables.scan_listing import ArchivePart
from brainslice.tables.shards import ShardOptions, predict_shards
from brainslice.tables.table import TableSummary, predict_tree
from ray_nodes import ray_nodes

SHARDS = 4


def tables_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def parts(trained: Path, tree: Path, tmp_path: Path) -> dict[str, bytes]:
    """The tables of ``predict --part``, one part after the other in this process."""
    predictor = Predictor.open(trained / "models" / "bundle", threads=1)
    for number in range(1, SHARDS + 1):
        part = ArchivePart(number, SHARDS)
        predict_tree(predictor, part.select([tree]), part.table(tmp_path / "parts" / "rows.jsonl"))
    return tables_in(tmp_path / "parts")


@pytest.mark.parametrize(
    ("workers", "engine"),
    [
        (1, "local"),
        (2, "local"),
        pytest.param(4, "local", marks=pytest.mark.slow_only),
        *(pytest.param(workers, "ray", marks=pytest.mark.slow_only) for workers in (1, 2, 4)),
        *(pytest.param(workers, "two nodes", marks=pytest.mark.slow_only) for workers in (1, 2)),
    ],
)
def test_workers_and_engines_give_the_bytes_of_parts(
    workers: int, engine: str, parts: dict[str, bytes], predictor: Predictor, tree: Path, tmp_path: Path
) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
    seen: list[tuple[int, int]] = []
    with ray_nodes(2) if engine == "two nodes" else nullcontext():
        found = predict_shards(
            predictor,
            [tree],
            tmp_path / "shards" / "rows.jsonl",
            ShardOptions(SHARDS, workers, engine="local" if engine == "local" else "ray"),
            lambda _, done, total: seen.append((done, total)),
        )
    assert found == TableSummary(rows=42, refused=1, kept=0, repaired=False)
    assert tables_in(tmp_path / "shards") == parts
    assert [path.name for path in (tmp_path / "shards").iterdir() if path.is_dir()] == []
    assert seen == [(done, SHARDS) for done in range(1, SHARDS + 1)]


def test_killed_worker_loses_nothing(
    parts: dict[str, bytes], predictor: Predictor, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, marker = tmp_path / "shards" / "rows.jsonl", tmp_path / "killed"

    def call(function: str, arguments: dict[str, object], name: str) -> Call:
        assert function == "brainslice.tables.shards:predict_listed"
        return Call("shard_calls:predict_and_be_killed", {**arguments, "marker": str(marker)}, name)

    monkeypatch.setattr(shards, "Call", call)
    found = predict_shards(predictor, [tree], output, ShardOptions(SHARDS))
    assert marker.exists()
    assert (found.rows, found.refused) == (42, 1)
    assert tables_in(tmp_path / "shards") == parts


@pytest.mark.slow_only
def test_killed_ray_actor_loses_nothing(
    parts: dict[str, bytes], predictor: Predictor, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
    from shard_calls import KilledOnce

    # Ray's workers import the class.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setattr(shards, "ShardWorker", KilledOnce)
    options = ShardOptions(SHARDS, engine="ray")
    found = predict_shards(predictor, [tree], tmp_path / "shards" / "rows.jsonl", options)
    assert (tmp_path / "killed").exists()
    assert (found.rows, found.refused) == (42, 1)
    assert tables_in(tmp_path / "shards") == parts


def test_second_run_keeps_rows_and_predicts_what_was_added(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra brainslice[parquet]")
    output = tmp_path / "shards" / "rows.parquet"
    predict_shards(predictor, [tree / "0"], output, ShardOptions(2))
    before = sum(1 for _ in (tree / "0").iterdir())
    found = predict_shards(predictor, [tree / "0", tree / "1"], output, ShardOptions(2))
    assert found.kept == before
    assert found.rows == before + sum(1 for _ in (tree / "1").iterdir())
    assert sorted(tables_in(tmp_path / "shards")) == ["rows-00001-of-00002.parquet", "rows-00002-of-00002.parquet"]


def test_names_with_line_breaks_reach_their_shard(tmp_path: Path) -> None:
    names = [tmp_path / "one\ntwo.png", tmp_path / "three.png"]
    shards._write_lists(names, tmp_path / "lists", 1)
    assert shards._read_list(tmp_path / "lists" / "1") == [str(name) for name in names]
    assert shards._read_list(tmp_path / "lists" / "2") == []


def test_overwriting_deletes_tables_and_journals(tmp_path: Path) -> None:
    for name in ("rows-00001-of-00002.parquet", "rows-00002-of-00002.parquet.part", "other.parquet"):
        (tmp_path / name).touch()
    shards._delete_tables(tmp_path / "rows.parquet", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["other.parquet"]


def test_missing_ray_names_the_extra(
    predictor: Predictor, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brainslice.lazy.is_installed", lambda name: name != "ray" and is_installed(name))
    with pytest.raises(
        MissingExtraError, match=r"the engine ray needs ray; install with: pip install 'brainslice\[ray\]'"
    ):
        predict_shards(predictor, [tree], tmp_path / "rows.jsonl", ShardOptions(2, engine="ray"))


@pytest.mark.parametrize("options", [{"shards": 0}, {"workers": 0}, {"threads": 0}, {"engine": "spark"}])
def test_invalid_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="must be at least 1 and the engine local or ray, got"):
        ShardOptions(**({"shards": 1} | options))
