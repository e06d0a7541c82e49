"""Every flush and rename of each artefact fails once: the older one stays whole, and nothing is left beside it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import open_bundle, update_bundle
from brainslice.decision.mc_dropout import LinearHead
from brainslice.errors import BrainsliceError
from brainslice.files import write_json
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.tables.table import predict_tree
from stand_in import config, prepare_project, write_bundle_for

STEPS = ("fsync", "rename", "replace")


class FailingCalls:
    """Counts calls of ``os.fsync``, ``os.rename`` and ``os.replace``, and lets one of them fail."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.count, self.failing = 0, 0
        for name in STEPS:
            patched.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: object, **options: object) -> None:
            self.count += 1
            if self.count == self.failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            call(*arguments, **options)

        return counted


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare_project(tmp_path_factory.mktemp("failing") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_each_failure(write: Callable[[int], object], folder: Path) -> int:
    """Write once, then again with each call failing in turn."""
    write(0)
    before = contents(folder)
    with pytest.MonkeyPatch.context() as patched:
        calls = FailingCalls(patched)
        write(0)
        total = calls.count
    assert total > 0
    for number in range(1, total + 1):
        with pytest.MonkeyPatch.context() as patched:
            calls = FailingCalls(patched)
            calls.failing = number
            with pytest.raises((BrainsliceError, OSError)):
                write(number)
        assert contents(folder) == before, f"call {number} of {total}"
    return total


def test_a_bundle_survives_each_failure(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "bundle"
    folder.parent.mkdir()

    def write(number: int) -> None:
        source = open_bundle(project / "models" / "bundle")
        if not folder.exists():
            folder.mkdir()
            for name in (*source.info.files, "bundle.json"):
                (folder / name).write_bytes((source.folder / name).read_bytes())
        update_bundle(folder, threshold=0.4 if number == 0 else 0.4 + number / 1000)

    assert check_each_failure(write, folder.parent) >= 4
    assert open_bundle(folder).info.threshold == 0.4


def test_reports_and_arrays_survive_each_failure(tmp_path: Path) -> None:
    assert (
        check_each_failure(lambda number: write_json(tmp_path / "report.json", {"number": number}, "test"), tmp_path)
        == 2
    )
    kernel = np.zeros((3, 2), np.float32)

    def write(number: int) -> None:
        head = LinearHead(kernel + number, np.zeros(2, np.float32), np.zeros(3, np.float32))
        head.save(tmp_path / "head.npz")

    assert check_each_failure(write, tmp_path) == 2


def test_a_table_continues_after_each_failure(project: Path, tmp_path: Path) -> None:
    predictor = Predictor.open(project / "models" / "bundle")
    scans, whole = project / "source" / "Testing", tmp_path / "whole.parquet"
    predict_tree(predictor, [scans], whole)
    with pytest.MonkeyPatch.context() as patched:
        calls = FailingCalls(patched)
        predict_tree(predictor, [scans], tmp_path / "counted.parquet")
        total = calls.count
    for number in range(1, total + 1):
        table = tmp_path / f"table{number}.parquet"
        with pytest.MonkeyPatch.context() as patched:
            calls = FailingCalls(patched)
            calls.failing = number
            with pytest.raises((BrainsliceError, OSError)):
                predict_tree(predictor, [scans], table)
        assert not table.exists()
        predict_tree(predictor, [scans], table)
        assert table.read_bytes() == whole.read_bytes()
        assert not list(tmp_path.glob(f"*table{number}.parquet.*"))
