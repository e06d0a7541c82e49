from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan.files import file_bytes, of_right_length, opening_bytes, printable


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
