from __future__ import annotations

import errno
import hashlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import ResourceError
from brainslice.files import (
    atomic_file,
    atomic_folder,
    clear_leftovers,
    replaced_folder,
    sha256_of,
    write_json,
    write_text,
)


def fail(code: int) -> None:
    raise OSError(code, "says the system")


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_failure_keeps_the_file_before_and_leaves_nothing_else(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "report.json"
    write_text(path, "before")

    def write_half() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise fault

    with pytest.raises(fault):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_raises_resource_error(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    with (
        pytest.raises(ResourceError, match=r"report\.json: no space left on the disk \([\d,.]+ MB free\); free some"),
        atomic_file(path),
    ):
        fail(errno.ENOSPC)
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_states_the_size_needed(tmp_path: Path) -> None:
    needed = r"no space left on the disk \(12\.5 MB needed, [\d,.]+ MB free\)"
    with pytest.raises(ResourceError, match=needed), atomic_folder(tmp_path / "bundle", 12_500_000):
        fail(errno.ENOSPC)


def test_other_system_errors_are_raised(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_file(tmp_path / "x"):
        fail(errno.EACCES)


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    for content in ("one", "two"):
        with atomic_folder(folder) as staging:
            (staging / f"{content}.txt").write_text(content)
    assert [path.name for path in folder.iterdir()] == ["two.txt"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failing_folder_keeps_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    with atomic_folder(folder) as staging:
        (staging / "one.txt").write_text("one")

    def run_out_of_room() -> None:
        with atomic_folder(folder) as staging:
            (staging / "two.txt").write_text("two")
            fail(errno.ENOSPC)

    with pytest.raises(ResourceError):
        run_out_of_room()
    assert [path.name for path in folder.iterdir()] == ["one.txt"]
    assert list(tmp_path.iterdir()) == [folder]


def test_json_with_nan_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"score": float("nan")}, "test")
    assert list(tmp_path.iterdir()) == []


def test_text_has_line_feeds_on_every_system(tmp_path: Path) -> None:
    write_text(tmp_path / "x.txt", "uno\ndos ñ\n")
    assert (tmp_path / "x.txt").read_bytes() == "uno\ndos ñ\n".encode()


@given(st.binary(max_size=4096))
def test_hashes_like_hashlib(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        assert sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_leftovers_of_killed_runs_are_removed_and_backups_restored(tmp_path: Path) -> None:
    aside, newer = tmp_path / ".bundle.old-abcdefgh", tmp_path / ".card.old-abcdefgh"
    for folder in (aside, newer, tmp_path / ".bundle.tmp-abcdefgh", tmp_path / "card"):
        folder.mkdir()
        (folder / "name.txt").write_text(folder.name, encoding="utf-8")
    (tmp_path / ".model.tmp-12345678.keras").write_bytes(b"half")
    (tmp_path / ".hidden").write_bytes(b"not ours")
    assert replaced_folder(tmp_path / "bundle") == aside
    assert replaced_folder(tmp_path / "card") is None
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "bundle", "card"]
    assert (tmp_path / "bundle" / "name.txt").read_text(encoding="utf-8") == aside.name


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("inside", ["staging", "renames"])
def test_a_killed_folder_write_is_undone_by_the_next_command(tmp_path: Path, inside: str) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model").write_bytes(b"before")
    code = """
import os, pathlib, signal, sys
from brainslice.files import atomic_folder
target, inside = pathlib.Path(sys.argv[1]), sys.argv[2]
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
with atomic_folder(target) as staging:
    (staging / "model").write_bytes(b"after")
    if inside == "staging": kill()
    rename = pathlib.Path.rename
    pathlib.Path.rename = lambda path, to: kill() if path == staging else rename(path, to)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bundle"), inside], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    clear_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (tmp_path / "bundle" / "model").read_bytes() == b"before"
