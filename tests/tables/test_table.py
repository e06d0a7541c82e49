from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from brainslice.errors import UsageError
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.lock import exclusive_lock
from brainslice.tables.table import ENDINGS, TableOptions, TableSummary, predict_paths, predict_tree


class StoppedError(Exception):
    """Raised to interrupt a run."""


def paths_of(table: Path) -> list[str]:
    if table.suffix == ".jsonl":
        return [json.loads(line)["path"] for line in table.read_text(encoding="utf-8").splitlines()]
    if table.suffix == ".csv":
        with table.open(encoding="utf-8", newline="") as stream:
            return [row["path"] for row in csv.DictReader(stream)]
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra brainslice[parquet]")
    return list(parquet.read_table(table)["path"].to_pylist())


def skip_without_pyarrow(suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs the extra brainslice[parquet]")


@pytest.mark.parametrize("suffix", ENDINGS)
def test_table_has_a_row_for_each_scan_in_order(suffix: str, predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    skip_without_pyarrow(suffix)
    table = tmp_path / f"rows{suffix}"
    assert predict_tree(predictor, [tree], table) == TableSummary(rows=42, refused=1, kept=0, repaired=False)
    assert paths_of(table) == [str(path) for path in sorted(tree.rglob("*.png"))]
    assert {path.name for path in tmp_path.iterdir()} == {"tree", table.name}


@pytest.mark.parametrize("suffix", ENDINGS)
def test_interrupted_table_is_resumed_to_the_same_rows(
    suffix: str, predictor: Predictor, tree: Path, tmp_path: Path
) -> None:
    skip_without_pyarrow(suffix)
    whole, broken = tmp_path / f"whole{suffix}", tmp_path / f"broken{suffix}"
    predict_tree(predictor, [tree], whole)
    predicted = 0

    def stop(*_: object) -> None:
        nonlocal predicted
        predicted += 1
        if predicted == 38:
            raise StoppedError

    with pytest.raises(StoppedError):
        predict_tree(predictor, [tree], broken, TableOptions(each=stop))
    journal = broken.with_name("broken.parquet.part") if suffix == ".parquet" else broken
    with journal.open("ab") as stream:
        stream.write(b'{"path": "torn')
    assert predict_tree(predictor, [tree], broken) == TableSummary(rows=42, refused=1, kept=32, repaired=True)
    assert paths_of(broken) == paths_of(whole)
    if suffix != ".parquet":
        assert broken.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("suffix", ENDINGS)
def test_added_scans_are_appended_and_none_predicted_twice(
    suffix: str, predictor: Predictor, tree: Path, tmp_path: Path
) -> None:
    skip_without_pyarrow(suffix)
    table = tmp_path / f"rows{suffix}"
    predict_tree(predictor, [tree], table)
    before = table.read_bytes()
    assert predict_tree(predictor, [tree], table) == TableSummary(rows=42, refused=1, kept=42, repaired=False)
    assert table.read_bytes() == before
    added = tree / "0" / "added.png"
    added.write_bytes(next(tree.rglob("scan*.png")).read_bytes())
    assert predict_tree(predictor, [tree], table) == TableSummary(rows=43, refused=1, kept=42, repaired=False)
    assert paths_of(table)[-1] == str(added)


def test_journal_left_beside_a_finished_table_adds_no_rows(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    skip_without_pyarrow(".parquet")
    table, lines = tmp_path / "rows.parquet", tmp_path / "rows.jsonl"
    predict_tree(predictor, [tree], lines)
    predict_tree(predictor, [tree], table)
    lines.rename(tmp_path / "rows.parquet.part")
    assert predict_tree(predictor, [tree], table).rows == 42
    assert len(paths_of(table)) == 42


def test_another_threshold_needs_overwrite(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl"
    predict_tree(predictor, [tree], table)
    other = dataclasses.replace(predictor, threshold=0.9)
    with pytest.raises(UsageError, match=r"holds rows at the threshold 0\.4, this run has 0\.9"):
        predict_tree(other, [tree], table)
    assert predict_tree(other, [tree], table, TableOptions(overwrite=True)).kept == 0
    assert json.loads(table.read_text(encoding="utf-8").splitlines()[0])["threshold"] == 0.9


def test_table_equals_single_predictions(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    predict_tree(predictor, [tree], tmp_path / "rows.jsonl")
    for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()[::5]:
        row = json.loads(line)
        if "refused" not in row:
            alone = predictor.predict(Path(row["path"]))
            assert row["probabilities"] == pytest.approx(alone.probabilities, abs=1e-6)


def test_second_writer_of_a_table_is_refused(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / ".rows.csv.lock", "writing rows.csv"),
        pytest.raises(UsageError, match=r"process \d+ on .* is writing rows\.csv since"),
    ):
        predict_tree(predictor, [tree], tmp_path / "rows.csv")


@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.json"])
def test_unknown_suffix_is_refused(name: str, predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a table must end in \.jsonl, \.csv, \.parquet, got"):
        predict_tree(predictor, [], tmp_path / name)


def test_parquet_without_pyarrow_raises(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"Parquet needs pyarrow; install with: pip install 'brainslice\[parquet\]'"):
        predict_tree(predictor, [], tmp_path / "rows.parquet")


def test_each_is_called_with_predictions_only(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    shown: list[Path] = []

    def show(path: Path, answer: Prediction) -> None:
        assert answer.source == path.name
        shown.append(path)

    predict_tree(predictor, [tree], tmp_path / "rows.csv", TableOptions(each=show))
    assert shown == sorted(tree.rglob("scan*.png"))


def test_progress_total_is_known_for_folders_only(predictor: Predictor, tree: Path) -> None:
    calls: list[tuple[int, int]] = []

    def record(_: str, done: int, total: int) -> None:
        calls.append((done, total))

    list(predict_paths(predictor, [tree], record))
    assert calls == [(done, 42) for done in range(1, 43)]
    calls.clear()
    list(predict_paths(predictor, iter([tree]), record))
    assert calls == [(done, done) for done in range(1, 43)]


def test_endless_iterators_are_predicted_lazily(predictor: Predictor, tree: Path) -> None:
    scan = next(tree.rglob("scan*.png"))

    def endless() -> Iterator[Path]:
        yield scan
        number = 0
        while True:
            number += 1
            yield tree / f"gone{number}.png"

    (path, first), (_, second) = islice(predict_paths(predictor, endless()), 2)
    assert path == scan
    assert isinstance(first, Prediction)
    assert isinstance(second, Refusal)


@pytest.mark.parametrize("suffix", ENDINGS)
def test_tables_of_another_frame_are_refused(suffix: str, predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    skip_without_pyarrow(suffix)
    first, second = (dataclasses.replace(predictor, frame=frame) for frame in (1, 2))
    table = tmp_path / f"rows{suffix}"
    predict_tree(first, [tree], table)
    assert predict_tree(first, [tree], table).kept == 42
    with pytest.raises(UsageError, match=r"holds rows of frame 1, this run has frame 2"):
        predict_tree(second, [tree], table)


@pytest.mark.parametrize("overwrite", [True, False])
def test_folder_without_scans_keeps_an_older_table(
    predictor: Predictor, tree: Path, tmp_path: Path, *, overwrite: bool
) -> None:
    (tmp_path / "nothing").mkdir()
    table = tmp_path / "rows.csv"
    for before in (False, True):
        with pytest.raises(UsageError, match="holds no scans"):
            predict_tree(predictor, [tmp_path / "nothing"], table, TableOptions(overwrite=overwrite))
        assert table.exists() == before
        if not before:
            predict_tree(predictor, [tree], table)
    assert len(paths_of(table)) == 42


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
@pytest.mark.parametrize("suffix", ENDINGS)
def test_file_names_of_any_bytes_are_resumed(suffix: str, predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    skip_without_pyarrow(suffix)
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in (b"line\nfeed.png", b"latin \xe9.png", b'quote",comma.png'):
        (odd / os.fsdecode(name)).write_bytes(next(tree.rglob("scan*.png")).read_bytes())
    (odd / os.fsdecode(b"broken \xff\n.png")).write_bytes(b"no picture")
    table = tmp_path / f"rows{suffix}"
    assert predict_tree(predictor, [odd], table) == TableSummary(rows=4, refused=1, kept=0, repaired=False)
    assert predict_tree(predictor, [odd], table).kept == 4
