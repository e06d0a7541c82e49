"""Pseudonyms: with ``--pseudonymise``, no byte of any output holds a name, and the key and a list join rows."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from brainslice.errors import UsageError
from brainslice.inference.predictor import Predictor
from brainslice.tables.case_names import KEY_VARIABLE, CaseNames, key_id_of
from brainslice.tables.shards import ShardOptions, predict_shards
from brainslice.tables.table import TableOptions, predict_tree
from command import call

CANARY = "QX7canary"
SECRET = b"0123456789abcdef of a test"


@pytest.fixture
def bundle(trained: Path) -> Path:
    return trained / "models" / "bundle"


@pytest.fixture
def keyfile(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(SECRET + b"\n")
    return path


@pytest.fixture
def tree(bundle: Path, tmp_path: Path) -> Path:
    """A folder of 40 scans and two refused files, all with canaries in their names, and a file that is passed over."""
    scans = sorted((bundle.parents[1] / "source").rglob("*.png"))
    root = tmp_path / f"{CANARY} root"
    for number in range(40):
        place = root / f"{CANARY}, case {number % 5}" / f"{number} {CANARY}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(scans[number % len(scans)], place)
    (place.parent / f"{CANARY} broken.png").write_bytes(b"no picture")
    (place.parent / f"{CANARY} gone.png").symlink_to(tmp_path / CANARY)
    (root / f"{CANARY}.txt").write_text("no scan", encoding="utf-8")
    return root


def pseudonym(relative: str, key: bytes = SECRET) -> str:
    """The name of a scan, as the documents state it."""
    first = hmac.new(key, b"", hashlib.sha256).hexdigest()[:8]
    return f"{first}-{hmac.new(key, relative.encode(), hashlib.sha256).hexdigest()[:32]}"


def expected(tree: Path) -> set[str]:
    return {pseudonym(path.relative_to(tree).as_posix()) for path in tree.rglob("*.png")}


def holds_names(path: Path) -> bool:
    table = str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else ""
    return CANARY.encode() in path.read_bytes() or CANARY in table or CANARY in str(path)


def outputs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_output_holds_a_name_and_the_key_joins_every_row(
    bundle: Path, tree: Path, keyfile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, given = tmp_path / "out", ("--bundle", bundle, "--pseudonymise", keyfile)
    out.mkdir()
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted(tree.rglob("*.png"))), encoding="utf-8")
    empty = tmp_path / f"{CANARY} empty"
    empty.mkdir()
    one = next(tree.rglob("*.png"))
    for words, code in (
        (("predict", tree, *given, "--output", out / "rows.csv", "--gradcam", out / "maps"), 3),
        (("predict", tree, *given, "--output", out / "rows.jsonl"), 3),
        (("predict", tree, *given, "--output", out / "rows.parquet"), 3),
        (("predict", one.parent, *given, "--output", out / "part.csv", "--part", "1/1"), 0),
        (("predict", "--list", listed, *given, "--output", out / "listed.csv"), 3),
        (("--debug", "predict", tree, *given, "--json", "--gradcam", out / "more"), 3),
        (("predict", one, *given), 0),
        (("predict", tree, *given), 3),
        (("predict", empty, *given), 2),
        (("predict", empty, *given, "--output", out / "part.csv", "--part", "1/1"), 2),
        (("predict", tree / f"{CANARY} nothing.png", *given), 3),
        (("worklist", tree, *given), 3),
        (("worklist", tree, *given, "--csv"), 3),
        (("worklist", tree, *given, "--json"), 3),
        (("predict-archive", tree, *given, "--output", out / "shards.jsonl", "--shards", "3"), 3),
        (("predict-archive", "--list", listed, *given, "--output", out / "more.csv", "--shards", "2"), 3),
        (("predict-archive", empty, *given, "--output", out / "none.csv", "--shards", "2"), 2),
    ):
        assert call(*words) == code, words
    printed = capfd.readouterr()
    assert CANARY not in printed.out + printed.err
    assert not [path for path in outputs(out) if holds_names(path)]
    assert len(list((out / "maps").iterdir())) == len(list((out / "more").iterdir())) == 40
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["path"] for row in rows} == expected(tree)
    assert all(row["source"] == row["path"] for row in rows)
    refused = [row for row in rows if "refused" in row]
    assert len(refused) == 2
    assert all(row["refused"].startswith(f"{row['path']}: ") for row in refused)
    assert {row["path"] for row in pq.read_table(out / "rows.parquet").to_pylist()} == expected(tree)
    shards = [path.read_text(encoding="utf-8") for path in out.glob("shards-*.jsonl")]
    assert {json.loads(line)["path"] for text in shards for line in text.splitlines()} == expected(tree)
    in_list = (out / "listed.csv").read_text(encoding="utf-8")
    assert all(pseudonym(path.as_posix()) in in_list for path in tree.rglob("*.png"))
    assert pseudonym(one.name) in printed.out


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_an_interrupted_table_resumes_without_a_name_in_its_journal(
    predictor: Predictor, tree: Path, tmp_path: Path, name: str
) -> None:
    names = CaseNames(SECRET, (tree,))
    whole, broken = tmp_path / "whole" / name, tmp_path / "broken" / name
    predict_tree(predictor, [tree], whole, TableOptions(names=names))
    numbers = count()

    def stop(_: Path, __: object) -> None:
        if next(numbers) == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_tree(predictor, [tree], broken, TableOptions(names=names, each=stop))
    assert sum(path.stat().st_size for path in outputs(broken.parent)) > 1000
    assert not [path for path in outputs(broken.parent) if CANARY.encode() in path.read_bytes()]
    # The same scans elsewhere: the table continues, since names are those of the paths below the folder.
    moved = tree.rename(tmp_path / "elsewhere")
    resumed = predict_tree(predictor, [moved], broken, TableOptions(names=CaseNames(SECRET, (moved,))))
    assert (resumed.kept, resumed.rows) == (32, 42)
    assert broken.read_bytes() == whole.read_bytes()


def test_no_file_holds_a_name_while_shards_are_predicted(predictor: Predictor, tree: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "out", []
    out.mkdir()
    options = ShardOptions(4, workers=2, names=CaseNames(SECRET, (tree,)))

    def look(*_: object) -> None:
        found.extend(CANARY.encode() in path.read_bytes() for path in outputs(out))

    assert predict_shards(predictor, [tree], out / "rows.csv", options, look).rows == 42
    assert found
    assert not any(found)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_rows_of_another_naming_are_never_mixed(predictor: Predictor, tree: Path, tmp_path: Path, name: str) -> None:
    table = tmp_path / name
    keys: tuple[bytes | None, ...] = (None, SECRET, b"another key of 16 bytes")
    for first in keys:
        predict_tree(predictor, [tree], table, TableOptions(overwrite=True, names=CaseNames(first, (tree,))))
        before = table.read_bytes()
        for second in keys:
            options = TableOptions(names=CaseNames(second, (tree,)))
            if first == second:
                assert predict_tree(predictor, [tree], table, options).kept == 42
                continue
            with pytest.raises(UsageError, match="rows named by"):
                predict_tree(predictor, [tree], table, options)
            assert table.read_bytes() == before


def test_names_depend_on_the_key_and_the_path_below_the_folder_only() -> None:
    names = CaseNames(SECRET, (Path("a"), Path("a/b"), Path("elsewhere/c.png")))
    assert names.of(Path("a/x/1.png")) == pseudonym("x/1.png")
    assert names.of(Path("a/b/1.png")) == pseudonym("1.png")
    assert names.of(Path("elsewhere/c.png")) == pseudonym("c.png")
    assert CaseNames(SECRET, (Path(),)).of(Path("x/1.png")) == pseudonym("x/1.png")
    assert CaseNames(SECRET).of(Path("listed/1.png")) == pseudonym("listed/1.png")
    assert CaseNames(SECRET).of(Path(os.fsdecode(b"\xff.png"))) != CaseNames(SECRET).of(Path("?.png"))
    assert CaseNames(b"x" * 16).of(Path("1.png")) == pseudonym("1.png", b"x" * 16)
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{32}", names.of(Path("a/1.png")))
    assert key_id_of(names.of(Path("a/1.png"))) == names.key_id
    assert key_id_of("a/1.png") is None
    assert CaseNames().of(Path("a/1.png")) == "a/1.png"
    assert SECRET.decode() not in repr(names)


def test_scans_of_one_pseudonym_are_refused_before_anything_is_written(
    bundle: Path, tree: Path, tmp_path: Path, keyfile: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / f"{CANARY} other"
    shutil.copytree(tree, other, symlinks=True)
    table = tmp_path / "rows.csv"
    for command in ("predict", "predict-archive"):
        words = (tree, other, "--bundle", bundle, "--output", table, "--pseudonymise", keyfile)
        assert call(command, *words) == 2
    printed = capfd.readouterr()
    assert printed.err.count("so one pseudonym") >= 2
    assert CANARY not in printed.out + printed.err
    assert not list(tmp_path.glob("rows*"))


def test_invalid_keys_and_options_are_one_line(
    bundle: Path,
    tree: Path,
    tmp_path: Path,
    keyfile: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = tmp_path / "short"
    short.write_text("0123456789abcde\n", encoding="ascii")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    for place, said in (
        (tmp_path / "none", "the key cannot be read"),
        (tmp_path, "the key cannot be read"),
        (short, "must hold a key of 16 bytes or more, got 15"),
        ("-", f"{KEY_VARIABLE}: must hold a key"),
    ):
        assert call("predict", tree, "--bundle", bundle, "--pseudonymise", place) == 2
        assert said in capfd.readouterr().err
    dicom = ("--dicom-out", tmp_path / "dicom")
    assert call("predict", tree, "--bundle", bundle, "--pseudonymise", keyfile, *dicom) == 2
    assert "DICOM objects name the patient" in capfd.readouterr().err
    monkeypatch.setattr("sys.stdin", (f"{path}\n" for path in tree.rglob("*.png")))
    streamed = ("--list", "-", "--output", tmp_path / "rows.csv")
    assert call("predict-archive", *streamed, "--bundle", bundle, "--pseudonymise", keyfile) == 2
    assert "the file of a --list" in capfd.readouterr().err


def test_the_key_may_come_from_the_environment(
    bundle: Path, tree: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, SECRET.decode())
    scan = next(tree.rglob("*.png"))
    assert call("predict", scan, "--bundle", bundle, "--pseudonymise", "-", "--json") == 0
    assert json.loads(capfd.readouterr().out)["path"] == pseudonym(scan.name)
