"""Archives unpacked whole or refused whole: what one member hides is a reason to trust none of them."""

from __future__ import annotations

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, NoReturn, Protocol, runtime_checkable

from brainslice.errors import DatasetError
from brainslice.files import atomic_folder

ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
"""Endings of archives, casefolded; unpacking looks at the content only."""

_MOST_MEMBERS: Final = 500_000
_MOST_BYTES: Final = 64 << 30
# Pictures hardly shrink: what unpacks to a hundred times its size is no archive of scans.
_MOST_RATIO: Final = 100
_UNSUSPICIOUS: Final = 256 << 20
_MOST_HEADER: Final = 1 << 20
_BLOCK: Final = 1 << 18
_ENCRYPTED: Final = 0x1
_BY_HAND: Final = "unpack it by hand, look at what is in it, and give the folder"
_AGAIN: Final = "download it again"
# What the standard library raises on damaged archives, beside system errors without a number.
_BROKEN: Final = (
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
    """Tell whether a file's name is that of an archive."""
    return path.name.casefold().endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into a folder that takes its place only when everything went well.

    Archives inside the archive stay the files they are; the rights that members ask for are not given.

    Args:
        archive: A ``.zip``, ``.tar``, ``.tar.gz`` or ``.tar.bz2`` file, known by its content.
        folder: What to make; an older one is replaced.

    Raises:
        DatasetError: A member's name leads outside, a member is a link, a device, encrypted, damaged or there
            twice, or the whole would grow out of proportion. Nothing is left behind.
        ResourceError: The disk is full.
    """
    with _in_one_line(archive):
        budget = min(_MOST_BYTES, max(_UNSUSPICIOUS, _MOST_RATIO * archive.stat().st_size))
        with atomic_folder(folder) as staging:
            writer = _Writer(archive, staging, budget)
            if _is_zip(archive):
                _unzip(archive, writer)
            else:
                _untar(archive, writer, budget)
            if not writer.files:
                _refuse(archive, "holds no files", _AGAIN)


class _Writer:
    """Writes members below one folder, and keeps count of them."""

    def __init__(self, archive: Path, staging: Path, budget: int) -> None:
        self.archive = archive
        self.staging = staging
        self.files: set[PurePosixPath] = set()
        self._members = 0
        self._left = budget

    def make_folder(self, name: str) -> None:
        """Make one folder, unless it is there."""
        (self.staging / self._claim(name, 0)).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, size: int, content: _Readable) -> None:
        """Write one file, exactly as long as it says it is."""
        path = self._claim(name, size)
        if path in self.files:
            _refuse(self.archive, f"holds {name!r} twice", _BY_HAND)
        self.files.add(path)
        target, written = self.staging / path, 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            while written <= size and (block := content.read(_BLOCK)):
                written += len(block)
                stream.write(block)
        if written != size:
            _refuse(self.archive, f"holds {name!r} in another length than it says", _AGAIN)

    def _claim(self, name: str, size: int) -> PurePosixPath:
        path = _inside(self.archive, name)
        self._members += 1
        self._left -= size
        if size < 0 or self._left < 0 or self._members > _MOST_MEMBERS:
            _refuse(self.archive, "would unpack to far more than an archive of its size should hold", _BY_HAND)
        return path


class _Bounded(io.BufferedIOBase):
    """The inflated bytes of a tar archive; refuses headers long enough to fill the memory."""

    def __init__(self, archive: Path, stream: io.BufferedIOBase, budget: int) -> None:
        self._archive = archive
        self._stream = stream
        self._left = 2 * budget

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as asked, within reason."""
        asked = -1 if size is None else size
        self._left -= asked
        if not 0 <= asked <= _MOST_HEADER or self._left < 0:
            _refuse(self._archive, "holds a header of unreasonable length", _BY_HAND)
        return self._stream.read(asked)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Tell the place."""
        return self._stream.tell()


def _is_zip(archive: Path) -> bool:
    with archive.open("rb") as stream:
        tar = stream.read(262).endswith(b"ustar")
    # A plain tar archive whose last member is a zip archive ends like one.
    return not tar and zipfile.is_zipfile(archive)


def _unzip(archive: Path, writer: _Writer) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            _refuse_odd_member(archive, member)
        for member in opened.infolist():
            if member.is_dir():
                writer.make_folder(member.filename)
                continue
            with opened.open(member) as content:
                writer.write(member.filename, member.file_size, content)


def _refuse_odd_member(archive: Path, member: zipfile.ZipInfo) -> None:
    # The library cuts a name at a zero byte and turns slashes on some systems: judge what was written.
    name = member.orig_filename
    _inside(archive, name)
    if member.flag_bits & _ENCRYPTED:
        _refuse(archive, f"holds {name!r} encrypted", _BY_HAND)
    # Other methods inflate without a bound on what one read may take.
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        _refuse(archive, f"packs {name!r} by a method that is not read here", _BY_HAND)
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        _refuse(archive, f"holds a link or a device, {name!r}", _BY_HAND)


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
                _refuse(archive, f"holds a link or a device, {member.name!r}", _BY_HAND)


def _inflated(archive: Path) -> io.BufferedIOBase:
    with archive.open("rb") as stream:
        start = stream.read(3)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(archive)
    return bz2.open(archive) if start == b"BZh" else archive.open("rb")


def _inside(archive: Path, name: str) -> PurePosixPath:
    """Read a member's name, or refuse one that leads out of the folder on some system."""
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = path.is_absolute() or ".." in windows.parts or windows.drive or windows.root
    if not name or outside or "\\" in name or "\0" in name:
        _refuse(archive, f"holds a name that leads outside, {name!r}", _BY_HAND)
    return path


@contextmanager
def _in_one_line(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            msg = f"{archive}: cannot be unpacked ({error.strerror}); {_BY_HAND}"
            raise DatasetError(msg) from error
        reason = str(error).replace("\n", " ") or type(error).__name__
        msg = f"{archive}: is no zip or tar archive, or a damaged one ({reason}); {_AGAIN}"
        raise DatasetError(msg) from error


def _refuse(archive: Path, fault: str, remedy: str) -> NoReturn:
    msg = f"{archive}: {fault}; nothing was unpacked; {remedy}"
    raise DatasetError(msg)
