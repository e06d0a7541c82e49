"""Archives in stores: the same scans, rows and tables as on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from brainslice.errors import UsageError
from brainslice.inference.predictor import Predictor
from brainslice.remote import RemoteFile
from brainslice.scan.listing import SkippedFiles
from brainslice.tables.scan_listing import list_scans
from brainslice.tables.shards import ShardOptions, predict_shards
from brainslice.tables.table import predict_tree
from command import call

fsspec = pytest.importorskip("fsspec", reason="needs the extra brainslice[fsspec]")

ARCHIVE = RemoteFile("memory://archive")


@pytest.fixture
def stored(tree: Path) -> Path:
    """The scans in the memory of this process, with files that are no scans; the same on the disk."""
    for name, data in {
        ".hidden.png": b"1", "b_mask.png": b"1", "b.png": b"1", "notes": b"text", "groups.csv": b"", "masks/a.png": b"",
    }.items():  # fmt: skip
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(data)
    store = fsspec.filesystem("memory")
    store.rm("/", recursive=True)
    store.pipe({f"/archive/{path.relative_to(tree)}": path.read_bytes() for path in tree.rglob("*") if path.is_file()})
    return tree


def here(paths: Iterable[object], prefix: object) -> list[str]:
    return [str(path).removeprefix(f"{prefix}/") for path in paths]


def test_store_has_the_scans_of_a_folder(stored: Path) -> None:
    ours, theirs = SkippedFiles(), SkippedFiles()
    assert here(list_scans([ARCHIVE], theirs), ARCHIVE) == here(list_scans([stored], ours), stored)
    assert theirs.summary == ours.summary
    assert ours.counts


def test_store_has_the_rows_of_a_folder(predictor: Predictor, stored: Path, tmp_path: Path) -> None:
    tables = {root: tmp_path / f"{number}.jsonl" for number, root in enumerate([stored, ARCHIVE])}
    for root, table in tables.items():
        predict_tree(predictor, [root], table)
    ours, theirs = (table.read_text().replace(f"{root}/", "") for root, table in tables.items())
    assert theirs == ours
    assert json.loads(theirs.splitlines()[-1])["refused"]


def test_scan_that_is_gone_is_a_row(predictor: Predictor, stored: Path, tmp_path: Path) -> None:
    assert stored
    found = predict_tree(predictor, [ARCHIVE / "gone.png"], tmp_path / "rows.jsonl")
    assert (found.rows, found.refused) == (1, 1)
    assert "memory://archive/gone.png: no such file" in (tmp_path / "rows.jsonl").read_text()


def test_shards_are_read_from_a_store_and_written_to_it(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra brainslice[parquet]")
    archive, output = RemoteFile(f"file://{tree}"), RemoteFile(f"file://{tmp_path / 'stored' / 'rows.parquet'}")
    with pytest.raises(UsageError, match="no such folder or bucket; make it first"):
        predict_shards(predictor, [archive], output, ShardOptions(2))
    (tmp_path / "stored").mkdir()
    found = predict_shards(predictor, [archive], output, ShardOptions(2, workers=2))
    predict_shards(predictor, [archive], tmp_path / "here" / "rows.parquet", ShardOptions(2))
    ours, theirs = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("here", "stored")
    )
    assert theirs == ours
    assert len(theirs) == 2
    assert (found.rows, found.kept) == (42, 0)
    assert predict_shards(predictor, [archive], output, ShardOptions(2)).kept == 42
    again = predict_shards(predictor, [archive], output, ShardOptions(2), overwrite=True)
    assert (again.rows, again.kept) == (42, 0)


@pytest.mark.usefixtures("stored")
def test_command_takes_uris(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.txt").write_text(f"{ARCHIVE}\n")
    first = next(iter(list_scans([ARCHIVE])))
    words = ("predict", "--project-root", trained)
    assert call(*words, str(first), "--json", "--dicom-out", tmp_path / "dicom") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["path"] == str(first)
    assert f"{first}: no DICOM report was written: it needs a file of this machine" in err
    assert call(*words, "--list", tmp_path / "list.txt", "--output", tmp_path / "rows.jsonl") == 3
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 43


@pytest.mark.usefixtures("stored")
def test_pseudonyms_are_refused_for_scans_of_a_store(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = trained.parent / "key.txt"
    key.write_text("0123456789abcdef")
    assert call("predict", "--project-root", trained, str(ARCHIVE), "--pseudonymise", key) == 2
    assert "pseudonyms are for files of this machine" in capsys.readouterr().err
