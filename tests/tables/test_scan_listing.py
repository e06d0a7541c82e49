from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.tables.scan_listing import ArchivePart, ListedScan, display_path, fingerprint, list_paths, list_scans


def touch(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_folder_is_searched_to_any_depth_in_the_order_of_names(tmp_path: Path) -> None:
    names = ["b.png", "a/z.JPG", "a/y/x.tif", "c/d.webp", "a.png", "c/e.IMA"]
    paths = [touch(tmp_path / name) for name in names]
    assert list(list_scans([tmp_path])) == sorted(paths)


def test_folders_list_scan_files_only(tmp_path: Path) -> None:
    scan = touch(tmp_path / "scan.png")
    dicom = touch(tmp_path / "IM0001", bytes(128) + b"DICM")
    numbered = touch(tmp_path / "1.2.840.10008", bytes(128) + b"DICM")
    bare = touch(tmp_path / "old", b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + bytes(200))
    for name in ("notes.txt", "README", ".hidden.png", "._scan.png", ".cache/scan.png"):
        touch(tmp_path / name, b"x" * 200)
    assert list(list_scans([tmp_path])) == [numbered, dicom, bare, scan]


def test_named_files_are_listed_whatever_their_suffix(tmp_path: Path) -> None:
    paths = [touch(tmp_path / "notes.txt"), tmp_path / "gone"]
    assert list(list_scans(paths)) == paths


def test_invalid_file_name_does_not_stop_the_rest(tmp_path: Path) -> None:
    scan, too_long = touch(tmp_path / "a.png"), tmp_path / ("x" * 300 + ".png")
    assert list(list_scans([too_long, scan])) == [too_long, scan]


def test_repeated_scans_are_listed_once(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "a.png"), touch(tmp_path / "b.png")
    assert list(list_scans([second, tmp_path, tmp_path, first])) == [second, first]


def test_folder_without_scans_names_the_suffixes(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match=r"holds no scans \(.*notes.txt.*\); suffixes of scans are .*\.png"):
        list(list_scans([tmp_path]))


@pytest.mark.skipif(sys.platform == "win32", reason="links to folders need a right of their own on Windows")
def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    scan = touch(tmp_path / "scan.png")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "linked.png").symlink_to(scan)
    assert list(list_scans([tmp_path])) == [tmp_path / "linked.png", scan]


def test_unreadable_folder_is_listed_as_a_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shut, scan = tmp_path / "shut", touch(tmp_path / "tree" / "scan.png")
    (tmp_path / "tree" / "closed").mkdir()
    listing = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(shut))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert list(list_scans([tmp_path / "tree"])) == [tmp_path / "tree" / "closed", scan]


def test_folders_are_searched_lazily(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        touch(tmp_path / name)
    opened: list[str] = []
    listing = os.scandir

    def scandir(path: Path) -> object:
        opened.append(path.name)
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert next(list_scans([tmp_path])) == tmp_path / "a" / "1.png"
    assert opened == [tmp_path.name, "a"]


def test_list_file_can_be_iterated_twice(tmp_path: Path) -> None:
    listed = ListedScan(touch(tmp_path / "list.txt", b"a.png\r\n\nfolder/b c.png\n"))
    assert [*listed] == [*listed] == [Path("a.png"), Path("folder/b c.png")]


def test_unreadable_list_file_raises(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read .*; give a text file with a path on each line"):
        list(ListedScan(tmp_path / "gone.txt"))


def test_lines_from_a_pipe_are_paths() -> None:
    assert list(list_paths(iter(["a.png\n", "\n", "b.png"]))) == [Path("a.png"), Path("b.png")]


@given(st.text(alphabet=st.characters(blacklist_characters="\0/", blacklist_categories=()), min_size=1))
def test_display_path_is_one_line_of_utf_8(name: str) -> None:
    text = display_path(Path(name))
    assert text.encode("utf-8")
    assert len(text.splitlines()) <= 1
    assert len(fingerprint(text)) == 12


def test_display_path_of_a_plain_name() -> None:
    assert display_path(Path("scans/Größe 1.png")) == str(Path("scans/Größe 1.png"))


def test_broken_links_are_listed(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert list(list_scans([tmp_path])) == [tmp_path / "gone.png"]


@given(count=st.integers(1, 40))
def test_every_scan_belongs_to_one_part_whatever_else_there_is(count: int) -> None:
    places = [Path(f"archive/{number}.png") for number in range(60)]
    parts = [list(ArchivePart(number, count).select(places)) for number in range(1, count + 1)]
    assert sorted(path for part in parts for path in part) == sorted(places)
    fewer = [list(ArchivePart(number, count).select(iter(places[:30]))) for number in range(1, count + 1)]
    assert [[path for path in part if path in places[:30]] for part in parts] == fewer


def test_a_part_searches_folders_and_can_be_gone_through_twice(tmp_path: Path) -> None:
    paths = [touch(tmp_path / f"{number}.png") for number in range(8)]
    parts = [ArchivePart(number, 2).select([tmp_path]) for number in (1, 2)]
    for _ in range(2):
        assert sorted(path for part in parts for path in part) == paths
    assert ArchivePart(3, 64).table(Path("out/rows.parquet")) == Path("out/rows-00003-of-00064.parquet")


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "a/b", "1/2/3", "-1/4"])
def test_a_part_is_a_number_of_a_count(text: str) -> None:
    with pytest.raises(UsageError, match="NUMBER/COUNT"):
        ArchivePart.parse(text)
