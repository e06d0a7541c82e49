from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan.files import file_bytes, is_folder, of_right_length, opening_bytes, printable


def test_a_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "scan"
    path.write_bytes(b"0123456789")
    assert file_bytes(path, most=10) == b"0123456789"
    with pytest.raises(UnreadableScanError, match="at most 9 bytes"):
        file_bytes(path, most=9)


def test_the_opening_of_what_is_no_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"0123456789")
    assert opening_bytes(tmp_path / "scan", 4) == b"0123"
    assert opening_bytes(tmp_path, 4) == opening_bytes(tmp_path / "gone", 4) == b""


def test_nothing_is_no_file() -> None:
    with pytest.raises(UnreadableScanError, match="empty"):
        of_right_length(b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert opening_bytes(tmp_path / "pipe", 4) == b""


@given(st.text())
def test_every_name_fits_on_one_line(name: str) -> None:
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


def test_no_more_room_is_made_than_a_file_needs(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"0123456789")
    tracemalloc.start()
    assert file_bytes(tmp_path / "scan") == b"0123456789"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_what_the_system_cannot_look_at_is_no_folder(tmp_path: Path) -> None:
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "gone")
    assert not is_folder(tmp_path / ("x" * 300))


def test_a_folder_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableScanError, match="got a folder"):
        file_bytes(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnreadableScanError, match=r"cannot be opened \(Permission denied\)"):
        file_bytes(tmp_path)
