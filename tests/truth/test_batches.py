"""Batches with files of ten bad kinds, killed and resumed: one row for each file, the same as without the kill."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import brainslice
from brainslice.inference import decoding
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.tables.table import TableSummary, predict_tree
from hospital import compressed, image, nifti, written
from stand_in import config, prepare_project, write_bundle_for

KILL = """
import os, signal, sys
from pathlib import Path
from brainslice.inference.predictor import Predictor
from brainslice.tables.table import TableOptions, predict_tree
left = int(sys.argv[4])
def each(path, prediction):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
predict_tree(Predictor.open(sys.argv[1]), [Path(sys.argv[2])], Path(sys.argv[3]), TableOptions(each=each))
"""


def bad_files(folder: Path, scan: bytes) -> list[Path]:
    """Write one file of each of ten bad kinds."""
    pixels = np.random.default_rng(1).integers(0, 900, (32, 32)).astype(np.uint16)
    dicom = written(image(pixels))
    kinds = {
        "empty.png": b"",
        "text.png": b"no picture at all",
        "cut.png": scan[: len(scan) // 3],
        "cut.dcm": dicom[:-700],
        "report.dcm": written(image(pixels, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34", Rows=0)),
        "cut_rle.dcm": compressed(image(pixels), "1.2.840.10008.1.2.5")[:-300],
        "cut.nii": nifti(pixels[..., None].astype(np.int16))[:400],
        "damaged.nii.gz": b"\x1f\x8b\x08" + bytes(100),
        "page.jpg": b"<html><body>404</body></html>",
        "archive.tif": b"PK\x03\x04" + bytes(200),
    }
    for name, data in kinds.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in kinds]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare_project(tmp_path_factory.mktemp("batches") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("scans", "bad", "kill_at"), [(100, 14, 40), pytest.param(1_000, 137, 400, marks=pytest.mark.slow_only)]
)
def test_a_killed_batch_resumes_to_the_same_table(
    scans: int, bad: int, kill_at: int, project: Path, tmp_path: Path
) -> None:
    tree, samples = tmp_path / "tree", tmp_path / "samples"
    samples.mkdir()
    good = sorted((project / "source").rglob("*.png"))
    kinds = bad_files(samples, good[0].read_bytes())
    for number in range(scans):
        damaged = number * bad // scans != (number + 1) * bad // scans
        source = kinds[number * bad // scans % len(kinds)] if damaged else good[number % len(good)]
        target = tree / f"{number % 9}" / f"scan{number:04d}{''.join(source.suffixes)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    bundle, whole, killed = project / "models" / "bundle", tmp_path / "whole.csv", tmp_path / "killed.csv"
    expected = predict_tree(Predictor.open(bundle), [tree], whole)
    assert (expected.rows, expected.refused) == (scans, bad)
    environment = {**os.environ, "PYTHONPATH": str(Path(brainslice.__file__).parents[1])}
    words = [sys.executable, "-c", KILL, str(bundle), str(tree), str(killed), str(kill_at)]
    assert subprocess.run(words, check=False, env=environment).returncode == -signal.SIGKILL
    resumed = predict_tree(Predictor.open(bundle), [tree], killed)
    assert isinstance(resumed, TableSummary)
    assert 0 < resumed.kept < scans
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.csv", "samples", "tree", "whole.csv"]
    rows = list(csv.DictReader(whole.read_text(encoding="utf-8").splitlines()))
    assert len({row["path"] for row in rows}) == scans


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_1_2_and_8_workers_write_equal_tables(
    ending: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Path(shutil.copytree(project / "source" / "Testing", tmp_path / "tree"))
    bad_files(tree, next(tree.rglob("*.png")).read_bytes())
    tables = []
    for workers in (1, 2, 8):
        monkeypatch.setattr(decoding.os, "cpu_count", lambda workers=workers: workers)
        table = tmp_path / f"table{workers}.{ending}"
        assert predict_tree(Predictor.open(project / "models" / "bundle"), [tree], table).refused == 10
        tables.append(table.read_bytes())
    assert tables[1:] == tables[:1] * 2
