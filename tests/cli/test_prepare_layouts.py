"""``brainslice prepare`` on files of several formats, tables, archives and its own project: the counts it prints."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command import call
from hospital import image, nifti, written

Capture = pytest.CaptureFixture[str]


def pixels(name: str) -> np.ndarray:
    """A picture unlike all others: coarse noise."""
    coarse = np.random.default_rng(list(name.encode())).integers(0, 255, (8, 8)).astype(np.uint8)
    return np.kron(coarse, np.ones((6, 6), np.uint8))


def draw(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = pixels(path.relative_to(folder.parent).as_posix())
        if path.suffix in {".png", ".jfif"}:
            Image.fromarray(drawn).save(path, format="JPEG" if path.suffix == ".jfif" else None)
        elif name.endswith(".nii.gz"):
            path.write_bytes(nifti(drawn.astype(np.int16)[..., None]))
        elif path.suffix in {".MR", ".dcm"} or "IM" in path.name:
            path.write_bytes(written(image(drawn.astype(np.uint16))))
        else:
            path.write_bytes(b"x" * 20)


def classes(folder: Path, *labels: str) -> Path:
    for label in labels:
        draw(folder / label, [f"{number}.png" for number in range(6)])
    return folder


def prepare(source: Path, root: Path, *options: str) -> int:
    return call("prepare", source, "--project-root", root, "--set", "data.folds=3", *options)


def test_scans_of_all_formats_are_counted_and_all_else_with_its_reason(tmp_path: Path, capsys: Capture) -> None:
    for label in ("tumor", "control"):
        draw(tmp_path / "set" / label, ["a.png", "b.jfif", "c.MR", "IM0001", "d.nii.gz", "e.dcm"])
        draw(tmp_path / "set" / label, ["masks/a.png", "a_mask.png", "b_mask.png", ".cache/a.png", "notes.txt"])
    draw(tmp_path / "set", ["README.pdf", "DICOMDIR"])
    assert prepare(tmp_path / "set", tmp_path / "project") == 0
    printed = capsys.readouterr().out
    assert "set: 12 scans in 12 groups" in printed
    assert "4 files that are no scans (DICOMDIR), 2 hidden or system files (.cache/), 6 tumour outlines (" in printed
    assert sum(map(int, re.findall(r"\(clean protocol\): (\d+)", printed))) == 12


def test_scans_without_a_row_in_the_table_of_labels_are_counted(tmp_path: Path, capsys: Capture) -> None:
    draw(tmp_path / "set", [f"images/{number}.png" for number in range(14)])
    rows = [f"{number}.png,{'LGG' if number % 2 else 'healthy'},p{number % 6}" for number in range(12)]
    (tmp_path / "set" / "labels.csv").write_text("Filename,Diagnosis,Patient\n" + "\n".join(rows), encoding="utf-8")
    assert prepare(tmp_path / "set", tmp_path / "project") == 0
    printed = capsys.readouterr().out
    assert "labels.csv: 12 of 12 rows match 12 of 14 scans" in printed
    assert "passed over: 2 scans without a row in labels.csv (" in printed


def test_numbers_ask_which_class_is_healthy_and_take_it_without_quotes(tmp_path: Path, capsys: Capture) -> None:
    source = classes(tmp_path / "set", "1", "2", "3")
    assert prepare(source, tmp_path / "project") == 3
    asked = capsys.readouterr().err
    assert "--set data.healthy_class=NAME" in asked
    assert "--set data.healthy_class=null" in asked
    assert prepare(source, tmp_path / "project", "--set", "data.healthy_class=2") == 0
    assert "classes: 1, 2 (healthy), 3" in capsys.readouterr().out


def test_a_zip_with_backslashes_is_read_like_its_folder(tmp_path: Path, capsys: Capture) -> None:
    classes(tmp_path / "set", "tumor", "normal")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((tmp_path / "set").rglob("*.png")):
            member = zipfile.ZipInfo("set/x")
            member.filename = str(path.relative_to(tmp_path)).replace("/", "\\")
            archive.writestr(member, path.read_bytes())
    assert prepare(tmp_path / "set.zip", tmp_path / "project") == 0
    assert ": 12 scans in 12 groups" in capsys.readouterr().out


def test_preparing_the_project_folder_itself_twice_prints_the_same(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path, "tumor", "normal")
    monkeypatch.chdir(tmp_path)
    printed = []
    for _ in range(2):
        assert call("prepare", Path(), "--set", "data.folds=3") == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert ": 12 scans in 12 groups" in printed[0]
