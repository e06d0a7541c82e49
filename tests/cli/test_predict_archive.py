from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brainslice.cli.main import main
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.predictor import Predictor
from brainslice.tables import shards
from brainslice.tables.table import TableSummary


def run(*words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main("predict-archive", *words)
    return ended.value.code


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments of each prediction, which is a stand-in that refuses one of ten scans of the folder ``poison``."""
    calls: list[Any] = []

    def predict(
        predictor: Predictor, paths: object, output: Path, options: object, _progress: object, **more: bool
    ) -> TableSummary:
        calls.append((predictor.bundle.folder, paths, output, options, more))
        return TableSummary(rows=10, refused=int("poison" in str(paths)), kept=4, repaired=False)

    monkeypatch.setattr(shards, "predict_shards", predict)
    return calls


def test_options_reach_the_shards(given: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--shards", "8", "--workers", "3", "--threads", "2", "--engine", "ray", "--overwrite")
    assert run("archive", "--output", "rows.parquet", *words) == 0
    options = shards.ShardOptions(8, 3, 2, "ray")
    assert given == [(DEFAULT_BUNDLE, [Path("archive")], Path("rows.parquet"), options, {"overwrite": True})]
    assert "rows.parquet: 10 rows in 8 tables, 4 of them there before; 0 refused" in capsys.readouterr().out


@pytest.mark.usefixtures("given")
def test_refused_files_are_rows_and_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("poison", "--output", "rows.csv") == 3
    assert "1 of 10 files could not be read; their rows state why" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--output", "rows.csv"), "needs scans, folders, or a --list"),
        (("archive", "--output", "rows.csv", "--engine", "spark"), "the engine local or ray, got 64, 1, 1 and 'spark'"),
    ],
)
def test_invalid_calls_are_one_line(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    assert said in capsys.readouterr().err
