from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.errors import DatasetError
from brainslice.evaluation.test_access_log import AccessLog


def test_counts_the_openings_of_each_split_alone(tmp_path: Path) -> None:
    ledger = AccessLog(tmp_path / "reports" / "ledger.jsonl")
    assert ledger.record("one", "clean", "a", 10) == 1
    assert ledger.record("other", "official", "a", 20) == 1
    assert ledger.record("one", "clean", "b", 10) == 2
    assert [opening.bundle for opening in ledger.accesses("one")] == ["a", "b"]


def test_outlives_the_process(tmp_path: Path) -> None:
    AccessLog(tmp_path / "ledger.jsonl").record("one", "clean", "a", 10)
    assert AccessLog(tmp_path / "ledger.jsonl").record("one", "clean", "a", 10) == 2


def test_a_damaged_ledger_is_never_taken_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"split": "one"}\n')
    with pytest.raises(DatasetError, match="damaged"):
        AccessLog(path).record("one", "clean", "a", 10)
    assert path.read_text() == '{"split": "one"}\n'
