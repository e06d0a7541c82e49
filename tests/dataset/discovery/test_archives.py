from __future__ import annotations

import bz2
import errno
import gzip
import io
import stat
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.dataset.discovery.archives import is_archive, unpack
from brainslice.errors import DatasetError, ResourceError

if TYPE_CHECKING:
    from _typeshed import SupportsRead

FILES = {
    "set/yes/a.JPG": b"a picture",
    "set/no/b.png": b"another",
    "set/no/inner.zip": b"PK\x05\x06" + bytes(18),
}


def make_zip(path: Path, members: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("set/", b"")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes] = FILES, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            add(archive, tarfile.TarInfo(name), content)
    return path


def add(archive: tarfile.TarFile, member: tarfile.TarInfo, content: bytes = b"") -> None:
    member.size = len(content)
    stream: SupportsRead[bytes] = io.BytesIO(content)
    archive.addfile(member, stream)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(archive: Path, match: str) -> None:
    """Unpacking fails in one line, and neither the folder nor anything beside it comes to be."""
    inside, outside = archive.parent / "target", set(archive.parent.iterdir())
    with pytest.raises(DatasetError, match=match) as caught:
        unpack(archive, inside)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(archive))
    assert set(archive.parent.iterdir()) == outside


@pytest.mark.parametrize(
    "make",
    [
        make_zip,
        make_tar,
        lambda path: make_tar(path, mode="w:gz"),
        lambda path: make_tar(path, mode="w:bz2"),
        lambda path: make_zip(path, method=zipfile.ZIP_STORED),
    ],
)
def test_every_kind_of_archive_gives_back_its_files_whatever_it_is_called(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    unpack(make(tmp_path / "archive.bin"), tmp_path / "target")
    assert contents(tmp_path / "target") == FILES


def test_an_older_folder_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "old.png").touch()
    unpack(make_zip(tmp_path / "a.zip"), tmp_path / "target")
    assert contents(tmp_path / "target") == FILES


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "set/../../evil.png",
        "/evil.png",
        "C:/evil.png",
        "C:evil.png",
        "..\\evil.png",
        "a\\..\\..\\b",
        "//host/a",
    ],
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_names_that_lead_outside_refuse_the_whole_archive(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    refused(make(tmp_path / "archive", FILES | {name: b"evil"}), "leads outside")


@pytest.mark.parametrize(
    "name", ["CON", "set/nul.png", "aux.tar.gz", "com1", "LPT9.txt", "a /b", "set/scan.", "set/a:b", "set/what?.png"]
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_names_that_windows_reserves_refuse_the_whole_archive(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    refused(make(tmp_path / "archive", FILES | {name: b"evil"}), "Windows reserves")


@pytest.mark.parametrize("name", ["SET/yes/A.jpg", "set\\no\\b.png", "Set/Yes", "set/no/B.png/c", "set/yes/A.JPG/"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_names_that_are_one_file_on_some_system_refuse_the_whole_archive(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    refused(make(tmp_path / "archive", FILES | {name: b""}), "differ in case only")


def test_composed_and_decomposed_letters_are_one_name(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "a.zip", {"caf\u00e9.png": b"1", "cafe\u0301.png": b"2"}), "differ in case only")


def test_backslashes_between_folders_are_read_as_slashes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("set\\", b"")
        archive.writestr("set\\yes\\a.png", b"a")
    unpack(tmp_path / "a.zip", tmp_path / "target")
    assert contents(tmp_path / "target") == {"set/yes/a.png": b"a"}


@pytest.mark.parametrize("zip64", [False, True])
def test_two_hundred_thousand_entries_are_refused_before_they_are_listed(tmp_path: Path, *, zip64: bool) -> None:
    count, at = 200_000, 30
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 6) + bytes(16) + b"a/%04d"
    directory = b"".join(entry % (number % 10_000) for number in range(count))
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, *[count & 0xFFFF] * 2, len(directory), at, 0)
    if zip64:
        record = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, count, count, len(directory), at)
        locator = b"PK\6\7" + struct.pack("<IQI", 0, at + len(directory), 1)
        end = record + locator + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(26) + directory + end)
    start = time.process_time()
    refused(tmp_path / "a.zip", "more than 100,000 entries")
    assert time.process_time() - start < 1


@pytest.mark.real
def test_names_that_differ_in_case_refuse_the_archive(real_scans: Path, tmp_path: Path) -> None:
    path = tmp_path / "z_case.zip"
    path.write_bytes((real_scans / "outsiders" / "attack" / "z_case.zip").read_bytes())
    refused(path, "differ in case only|Windows reserves")


@given(st.lists(st.sampled_from(["..", ".", "a", "b.png", "", "C:", "\\", "~"]), min_size=1, max_size=5).map("/".join))
def test_no_name_writes_outside_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("box")
    with tarfile.open(root / "a.tar", "w") as archive:
        add(archive, tarfile.TarInfo(name), b"evil")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        try:
            unpack(root / "a.tar", root / "target")
        except DatasetError:
            assert {path.name for path in root.iterdir()} == {"a.tar"}
    assert {path.name for path in root.iterdir()} <= {"a.tar", "target"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("set/link")
        member.external_attr = (kind | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    refused(tmp_path / "a.zip", "link or a device")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, tarfile.TarInfo("set/fine.png"), b"fine")
        member = tarfile.TarInfo("set/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    refused(tmp_path / "a.tar", "link or a device")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[entry + 8] |= 1
    path.write_bytes(data)
    refused(path, "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_inflate_without_bounds_are_refused(tmp_path: Path, method: int) -> None:
    refused(make_zip(tmp_path / "a.zip", method=method), "method that is not read")


def test_a_zip_bomb_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"set/zeros": bytes(257 << 20)})
    assert path.stat().st_size < 1 << 20
    refused(path, "far more")


def test_a_tar_bomb_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("zeros")
    header.size = 300 << 20
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(header.tobuf())
    refused(tmp_path / "a.tar.gz", "far more")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_header_meant_to_fill_the_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 8 << 20
    with bz2.open(tmp_path / "a.tar.bz2", "wb") as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(8 << 20))
    refused(tmp_path / "a.tar.bz2", "unreasonable length")


@pytest.mark.parametrize("lie", [1, 5000])
def test_a_member_that_is_longer_or_shorter_than_it_says_is_refused(tmp_path: Path, lie: int) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"x" * 100}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[entry + 24 : entry + 28] = struct.pack("<I", lie)
    path.write_bytes(data)
    refused(path, "another length|damaged")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"harmless")
        archive.writestr("./a.png", b"other")
    refused(tmp_path / "a.zip", "twice")


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    refused(make_tar(tmp_path / "a.tar", {"a": b"file", "a/b": b"below it"}), "a file and a folder")


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 99, b"PK\x03\x04torn", b"\x1f\x8btorn", b"BZh9torn"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "no zip or tar archive|holds no files")


def test_an_archive_without_files_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "a.zip", {}), "holds no files")
    refused(tmp_path / "missing.zip", "No such file")


@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["zip", "tar", "gz"]))
def test_a_damaged_archive_gives_its_files_or_one_clear_refusal(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, kind: str
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    path = make_zip(root / "a") if kind == "zip" else make_tar(root / "a", mode="w:gz" if kind == "gz" else "w")
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data[: len(data) - place % 7])
    try:
        unpack(path, root / "target")
    except DatasetError:
        assert {entry.name for entry in root.iterdir()} == {"a"}


def test_a_full_disk_is_one_line_and_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack(make_zip(tmp_path / "a.zip", {"old.png": b"old"}), tmp_path / "target")
    make_zip(tmp_path / "a.zip")
    plain = Path.open

    def full(path: Path, mode: str = "r", **options: object) -> object:
        if mode == "xb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(path, mode, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ResourceError, match="no space left"):
        unpack(tmp_path / "a.zip", tmp_path / "target")
    monkeypatch.undo()
    assert contents(tmp_path / "target") == {"old.png": b"old"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "target"}


def test_an_archive_is_known_by_its_name() -> None:
    assert all(is_archive(Path(name)) for name in ("a.ZIP", "a.tar.gz", "b.tgz", "b.TAR"))
    assert not any(is_archive(Path(name)) for name in ("a.gz", "folder", "zip", "a.zip.part"))
