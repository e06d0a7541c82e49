from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.dataset.discovery.install import install_scan, open_source, refuse_overlap, replace_folders, unused_name
from brainslice.errors import DatasetError, ResourceError

PARTS = ["train", "table.csv"]


def fill(folder: Path, content: str) -> None:
    (folder / "train").mkdir(parents=True)
    for name in ("train/a.png", "table.csv", "seal.json"):
        (folder / name).write_text(content)


def state(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def whole(content: str) -> dict[str, str]:
    return {"train/a.png": content, "table.csv": content, "seal.json": content}


def test_parts_take_the_place_of_older_ones_and_all_else_stays(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    (tmp_path / "train" / "gone.png").touch()
    (tmp_path / "mine.txt").write_text("mine")
    with replace_folders(tmp_path, PARTS, "seal.json") as staging:
        fill(staging, "new")
    assert state(tmp_path) == whole("new") | {"mine.txt": "mine"}
    assert len(list(tmp_path.iterdir())) == 4


def test_parts_that_are_no_longer_made_go(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    with replace_folders(tmp_path, PARTS, "seal.json") as staging:
        (staging / "seal.json").write_text("new")
    assert state(tmp_path) == {"seal.json": "new"}


def test_an_error_inside_leaves_everything_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    with pytest.raises(FileExistsError), replace_folders(tmp_path, PARTS, "seal.json") as staging:
        [fill(staging, content) for content in ("new", "new again")]
    assert state(tmp_path) == whole("old")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("failing", range(6))
def test_an_error_between_two_renames_brings_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    fill(tmp_path, "old")
    plain, calls = Path.rename, iter(range(100))

    def rename(path: Path, target: Path) -> Path:
        if next(calls) == failing:
            raise PermissionError(errno.EACCES, "in use")
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PermissionError), replace_folders(tmp_path, PARTS, "seal.json") as staging:
        fill(staging, "new")
    assert state(tmp_path) == whole("old")


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that cannot be caught")
@pytest.mark.parametrize("step", range(7))
def test_a_kill_at_any_moment_leaves_the_old_set_the_new_set_or_no_marker(tmp_path: Path, step: int) -> None:
    folder = tmp_path / "data"
    fill(folder, "old")
    script = f"""
import os, signal
from pathlib import Path
from brainslice.dataset.discovery.install import replace_folders
plain, calls = Path.rename, iter(range(100))
def rename(path, target):
    if next(calls) == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(path, target)
Path.rename = rename
with replace_folders(Path({str(folder)!r}), ["train", "table.csv"], "seal.json") as staging:
    (staging / "train").mkdir()
    for name in ("train/a.png", "table.csv", "seal.json"):
        (staging / name).write_text("new")
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == (-signal.SIGKILL if step < 6 else 0)
    left = {name: text for name, text in state(folder).items() if not name.startswith(".preparing-")}
    assert left in (whole("old"), whole("new")) or "seal.json" not in left
    with replace_folders(folder, PARTS, "seal.json") as staging:
        fill(staging, "newest")
    assert state(folder) == whole("newest")


def test_a_full_disk_is_one_line_and_leaves_everything(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    with pytest.raises(ResourceError, match="no space left"), replace_folders(tmp_path, PARTS, "seal.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert state(tmp_path) == whole("old")
    with pytest.raises(ResourceError), replace_folders(tmp_path / "fresh", PARTS, "seal.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not (tmp_path / "fresh").exists()


def test_links_lead_to_the_file_itself_and_copies_do_not_depend_on_it(tmp_path: Path) -> None:
    scan = tmp_path / "scan.png"
    scan.write_bytes(b"picture")
    (tmp_path / "link.png").symlink_to(scan)
    assert install_scan(tmp_path / "link.png", tmp_path / "a.png", copy=False)
    assert (tmp_path / "a.png").readlink() == scan
    assert not install_scan(tmp_path / "link.png", tmp_path / "b.png", copy=True)
    scan.unlink()
    assert (tmp_path / "b.png").read_bytes() == b"picture"


@pytest.mark.parametrize("error", [OSError(errno.EPERM, "needs a privilege"), NotImplementedError()])
def test_where_the_system_refuses_links_scans_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    (tmp_path / "scan.png").write_bytes(b"picture")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert not install_scan(tmp_path / "scan.png", tmp_path / "a.png", copy=False)
    assert (tmp_path / "a.png").read_bytes() == b"picture"


@given(st.lists(st.sampled_from(["a.png", "A.PNG", "a~2.png", "b", "B", "c.tar.gz"]), max_size=12))
def test_names_are_told_apart_in_any_case_and_keep_their_endings(names: list[str]) -> None:
    taken: set[str] = set()
    given_names = [unused_name(name, taken) for name in names]
    assert len({name.casefold() for name in given_names}) == len(names)
    for name, free in zip(names, given_names, strict=True):
        assert Path(free).suffix == Path(name).suffix


def test_an_archive_is_unpacked_once_for_each_content(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("glioma/a.png", b"one")
    first = open_source(archive, tmp_path / "project")
    (first / "mark").touch()
    assert open_source(archive, tmp_path / "project") == first
    assert (first / "mark").exists()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("glioma/a.png", b"two")
    second = open_source(archive, tmp_path / "project")
    assert second != first
    assert (second / "glioma" / "a.png").read_bytes() == b"two"
    assert open_source(first, tmp_path / "project") == first


def test_a_refused_archive_leaves_nothing_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"no archive")
    (tmp_path / "project").mkdir()
    with pytest.raises(DatasetError, match="no zip or tar archive"):
        open_source(tmp_path / "set.zip", tmp_path / "project")
    assert not list((tmp_path / "project").iterdir())


def test_what_preparing_would_replace_is_refused_as_a_source(tmp_path: Path) -> None:
    scan = tmp_path / "data" / "train" / "glioma" / "a.png"
    scan.parent.mkdir(parents=True)
    refuse_overlap(tmp_path, [scan], [tmp_path / "data" / "test", tmp_path / "data" / "tra"])
    with pytest.raises(DatasetError, match="is what preparing replaces"):
        refuse_overlap(tmp_path, [scan], [tmp_path / "data" / "train"])
