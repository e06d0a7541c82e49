from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan.files import check_length, file_bytes, is_folder, leading_bytes, printable


def test_a_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "scan"
    path.write_bytes(b"0123456789")
    assert file_bytes(path, limit=10) == b"0123456789"
    with pytest.raises(UnreadableScanError, match="at most 9 bytes"):
        file_bytes(path, limit=9)


def test_leading_bytes_of_a_path_that_is_not_a_file_are_empty(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"0123456789")
    assert leading_bytes(tmp_path / "scan", 4) == b"0123"
    assert leading_bytes(tmp_path, 4) == leading_bytes(tmp_path / "gone", 4) == b""


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(UnreadableScanError, match="empty"):
        check_length(b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert leading_bytes(tmp_path / "pipe", 4) == b""


@given(st.text())
def test_printable_names_have_one_line(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows would write every zero of it")
def test_a_file_that_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "scan"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UnreadableScanError, match=r"at most 335,544,320 bytes, got 1,099,511,627,776"):
        file_bytes(path)


def test_no_more_memory_is_allocated_than_the_file_needs(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"0123456789")
    tracemalloc.start()
    assert file_bytes(tmp_path / "scan") == b"0123456789"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_a_path_that_the_system_refuses_is_not_a_folder(tmp_path: Path) -> None:
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "gone")
    assert not is_folder(tmp_path / ("x" * 300))


def test_a_folder_without_permission_has_its_own_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableScanError, match="got a folder"):
        file_bytes(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnreadableScanError, match=r"cannot be opened \(Permission denied\)"):
        file_bytes(tmp_path)
