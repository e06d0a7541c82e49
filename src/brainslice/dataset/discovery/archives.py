"""Safe extraction of zip and tar archives: all members or none."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, NoReturn, Protocol, runtime_checkable

from brainslice.errors import DatasetError
from brainslice.files import atomic_folder

ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
"""File name suffixes of archives, casefolded; unpacking looks at the content only."""

_MAX_MEMBERS: Final = 100_000
_MAX_DIRECTORY: Final = 32 << 20
_MAX_BYTES: Final = 64 << 30
# Images compress little; a ratio of a hundred is suspicious.
_MAX_RATIO: Final = 100
_ALWAYS_ALLOWED_BYTES: Final = 256 << 20
_MAX_HEADER: Final = 1 << 20
_BLOCK: Final = 1 << 18
_ENCRYPTED: Final = 0x1
# The records at the end of a zip archive and their fields for the size of the directory.
_ENTRY, _END, _END_64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06"
_MAX_END_RECORDS: Final = 22 + 0xFFFF + 20 + 56
# Device names, characters and trailing characters that Windows file names cannot have.
_RESERVED: Final = re.compile(
    r'(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?|.*[. ]|.*[<>:"|?*\x00-\x1f].*',
    re.DOTALL | re.IGNORECASE,
)
_UNPACK_MANUALLY: Final = "unpack it manually, check its content, and give the folder"
_DOWNLOAD_AGAIN: Final = "download it again"
# Exceptions of the standard library on damaged archives, beside OSError without errno.
_ARCHIVE_ERRORS: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def is_archive(path: Path) -> bool:
    """Check whether a file has the name of an archive."""
    return path.name.casefold().endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into a folder, which is made only where all members are valid.

    Archives inside the archive are not unpacked; permissions of members are ignored.

    Args:
        archive: A ``.zip``, ``.tar``, ``.tar.gz`` or ``.tar.bz2`` file, detected by content.
        folder: The folder to make; an existing one is replaced.

    Raises:
        DatasetError: A member's name leads outside, is reserved on Windows or equal to another but for case; a
            member is a link, a device, encrypted or damaged; or the archive is too large. Nothing is left behind.
        ResourceError: The disk is full.
    """
    with _one_line_errors(archive):
        budget = min(_MAX_BYTES, max(_ALWAYS_ALLOWED_BYTES, _MAX_RATIO * archive.stat().st_size))
        with atomic_folder(folder) as staging:
            writer = _Writer(archive, staging, budget)
            if _is_zip(archive):
                _unzip(archive, writer)
            else:
                _untar(archive, writer, budget)
            if not writer.files:
                _refuse(archive, "holds no files", _DOWNLOAD_AGAIN)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archive into a temporary folder for the block; other paths are returned unchanged.

    Raises:
        DatasetError: As for ``unpack``.
    """
    if not (path.is_file() and is_archive(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="brainslice-") as folder:
        unpack(path, Path(folder) / "study")
        yield Path(folder) / "study"


class _Writer:
    """Writes members below one folder, with limits of their number and size."""

    def __init__(self, archive: Path, staging: Path, budget: int) -> None:
        self.archive = archive
        self.staging = staging
        self.files: set[str] = set()
        self._folders: set[str] = set()
        self._members = 0
        self._left = budget

    def make_folder(self, name: str) -> None:
        """Make one folder, unless it is there."""
        path = self._claim(name, 0)
        self._refuse_duplicates(name, self.files.intersection(self._add_folders(path / "any")))
        (self.staging / path).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, size: int, content: _Readable) -> None:
        """Write one file of exactly the size that the archive gives."""
        path = self._claim(name, size)
        key = _key(path)
        parents = self._add_folders(path)
        self._refuse_duplicates(name, ({key} & (self.files | self._folders)) | self.files.intersection(parents))
        self.files.add(key)
        target, written = self.staging / path, 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            while written <= size and (block := content.read(_BLOCK)):
                written += len(block)
                stream.write(block)
        if written != size:
            _refuse(self.archive, f"holds {name!r} in another length than its entry says", _DOWNLOAD_AGAIN)

    def _add_folders(self, path: PurePosixPath) -> list[str]:
        keys = [_key(parent) for parent in path.parents[:-1]]
        self._folders.update(keys)
        return keys

    def _refuse_duplicates(self, name: str, found: set[str]) -> None:
        if found:
            _refuse(
                self.archive,
                f"holds {name!r} twice, as a file and a folder, or under names that differ in case only",
                _UNPACK_MANUALLY,
            )

    def _claim(self, name: str, size: int) -> PurePosixPath:
        path = _inside(self.archive, name)
        self._members += 1
        self._left -= size
        if size < 0 or self._left < 0 or self._members > _MAX_MEMBERS:
            _refuse(self.archive, "would unpack to far more than an archive of its size should hold", _UNPACK_MANUALLY)
        return path


class _Bounded(io.BufferedIOBase):
    """Stream of a decompressed tar archive that refuses long headers, which tarfile would read into memory."""

    def __init__(self, archive: Path, stream: io.BufferedIOBase, budget: int) -> None:
        self._archive = archive
        self._stream = stream
        self._left = 2 * budget

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most the maximum length of a header."""
        count = -1 if size is None else size
        self._left -= count
        if not 0 <= count <= _MAX_HEADER or self._left < 0:
            _refuse(self._archive, "holds a header of unreasonable length", _UNPACK_MANUALLY)
        return self._stream.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Get the position."""
        return self._stream.tell()


def _is_zip(archive: Path) -> bool:
    with archive.open("rb") as stream:
        tar = stream.read(262).endswith(b"ustar")
    # An uncompressed tar archive whose last member is a zip archive also passes the check of zipfile.
    return not tar and zipfile.is_zipfile(archive)


def _refuse_many_entries(archive: Path) -> None:
    """Count the entries of a zip archive before zipfile creates an object for each."""
    with archive.open("rb") as stream:
        start = max(0, stream.seek(0, os.SEEK_END) - _MAX_END_RECORDS)
        stream.seek(start)
        tail = stream.read()
        end, end_64 = tail.rfind(_END), tail.rfind(_END_64)
        (size,) = struct.unpack_from("<I", tail, end + 12)
        if end_64 >= 0:
            (size,), end = struct.unpack_from("<Q", tail, end_64 + 40), end_64
        size = min(size, start + end)
        stream.seek(start + end - size)
        if size > _MAX_DIRECTORY or stream.read(size).count(_ENTRY) > _MAX_MEMBERS:
            _refuse(archive, f"holds more than {_MAX_MEMBERS:,} entries", _UNPACK_MANUALLY)


def _unzip(archive: Path, writer: _Writer) -> None:
    _refuse_many_entries(archive)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            _check_member(archive, member)
        for member in opened.infolist():
            if member.orig_filename.endswith(("/", "\\")):
                writer.make_folder(member.orig_filename)
                continue
            with opened.open(member) as content:
                writer.write(member.orig_filename, member.file_size, content)


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    # zipfile cuts names at a zero byte, and converts backslashes on Windows only.
    name = member.orig_filename
    _inside(archive, name)
    if member.flag_bits & _ENCRYPTED:
        _refuse(archive, f"holds {name!r} encrypted", _UNPACK_MANUALLY)
    # Reads of other methods may allocate without limit.
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        _refuse(archive, f"packs {name!r} by a method that is not read here", _UNPACK_MANUALLY)
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        _refuse(archive, f"holds a link or a device, {name!r}", _UNPACK_MANUALLY)


def _untar(archive: Path, writer: _Writer, budget: int) -> None:
    with (
        _inflated(archive) as stream,
        tarfile.open(fileobj=_Bounded(archive, stream, budget), mode="r:") as opened,
    ):
        for member in opened:
            plain = member.isreg() and not member.issparse()
            content = opened.extractfile(member) if plain else None
            if content is not None:
                with content:
                    writer.write(member.name, member.size, content)
            elif member.isdir():
                writer.make_folder(member.name)
            else:
                _refuse(archive, f"holds a link or a device, {member.name!r}", _UNPACK_MANUALLY)


def _inflated(archive: Path) -> io.BufferedIOBase:
    with archive.open("rb") as stream:
        start = stream.read(3)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(archive)
    return bz2.open(archive) if start == b"BZh" else archive.open("rb")


def _inside(archive: Path, name: str) -> PurePosixPath:
    """Check that a member's name is inside the folder and valid on every system."""
    # Some Windows programs write backslashes between folders.
    path, windows = PurePosixPath(name.replace("\\", "/")), PureWindowsPath(name)
    outside = path.is_absolute() or ".." in windows.parts or windows.drive or windows.root
    if not name or outside or "\0" in name:
        _refuse(archive, f"holds a name that leads outside, {name!r}", _UNPACK_MANUALLY)
    if any(_RESERVED.fullmatch(part) for part in path.parts):
        _refuse(archive, f"holds a name that Windows reserves, {name!r}", _UNPACK_MANUALLY)
    return path


def _key(path: PurePosixPath) -> str:
    """Return a key that is equal for names that are one file on some system: by case or Unicode form."""
    return unicodedata.normalize("NFC", str(path)).casefold()


@contextmanager
def _one_line_errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*_ARCHIVE_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            msg = f"{archive}: cannot be unpacked ({error.strerror}); {_UNPACK_MANUALLY}"
            raise DatasetError(msg) from error
        reason = str(error).replace("\n", " ") or type(error).__name__
        msg = f"{archive}: is no zip or tar archive, or a damaged one ({reason}); {_DOWNLOAD_AGAIN}"
        raise DatasetError(msg) from error


def _refuse(archive: Path, fault: str, remedy: str) -> NoReturn:
    msg = f"{archive}: {fault}; nothing was unpacked; {remedy}"
    raise DatasetError(msg)
