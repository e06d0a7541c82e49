"""Extraction of zip archives in memory, within the limits of uploads."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits
from brainslice.service.uploads import UploadedFile, plain_name

_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_BLOCK: Final = 1 << 18
_ENCRYPTED: Final = 0x1
_IGNORED: Final = frozenset({"__MACOSX", "DICOMDIR", "Thumbs.db", "desktop.ini"})
_MAX_ENTRIES: Final = 10_000
_ENTRY: Final = b"PK\x01\x02"
# Other decompressors may allocate gigabytes before the first byte.
_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# Exceptions of zipfile for damaged archives.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, IndexError,
    OverflowError, MemoryError,
)  # fmt: skip


def extract_archives(
    files: Sequence[UploadedFile], limits: Limits, reserve: Callable[[int], None]
) -> list[UploadedFile]:
    """Replace each zip archive by the files in it.

    Args:
        files: The uploaded files.
        limits: Limits of number and size.
        reserve: Called with the number of bytes before they are kept; raises if they are too many.

    Raises:
        ProblemError: An archive is damaged, encrypted or nested, or exceeds the limits.
    """
    found: list[UploadedFile] = []
    for file in files:
        found += _members(file, limits, reserve) if _is_zip(file.data) else [file]
        if len(found) > limits.study_files:
            raise ProblemError(
                ErrorCode.TOO_LARGE, f"a study must be at most {limits.study_files} files; send one series"
            )
    if not found:
        raise ProblemError(ErrorCode.UNREADABLE_SCAN, "the archive must contain files, got none; zip the study again")
    return found


def _is_zip(data: bytes) -> bool:
    return data.startswith((_ZIP, _EMPTY_ZIP))


def _members(file: UploadedFile, limits: Limits, reserve: Callable[[int], None]) -> Iterator[UploadedFile]:
    try:
        # Counted before zipfile makes an object of each.
        if file.data.count(_ENTRY) > _MAX_ENTRIES:
            detail = f"an archive must hold at most {_MAX_ENTRIES:,} entries, got more; zip one series alone"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            for entry in archive.infolist():
                if not _is_ignored(entry):
                    yield UploadedFile(plain_name(entry.filename), _extract(archive, entry, limits, reserve))
    except _DAMAGE as error:
        detail = f"the archive is damaged or unsupported ({type(error).__name__}); make it again as plain zip"
        raise ProblemError(ErrorCode.UNREADABLE_SCAN, detail) from None


def _is_ignored(entry: zipfile.ZipInfo) -> bool:
    parts = [part for part in entry.filename.replace("\\", "/").split("/") if part]
    return entry.is_dir() or not parts or any(part.startswith(".") or part in _IGNORED for part in parts)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, reserve: Callable[[int], None]) -> bytes:
    if entry.flag_bits & _ENCRYPTED:
        raise ProblemError(
            ErrorCode.UNREADABLE_SCAN, "the archive must not be encrypted; make it again without a password"
        )
    if entry.compress_type not in _COMPRESSIONS:
        raise ProblemError(
            ErrorCode.UNREADABLE_SCAN, "the archive must be stored or deflated; make it again as plain zip"
        )
    data = bytearray()
    # Extracted bytes are counted, since the size in the entry may be wrong.
    with archive.open(entry) as stream:
        while block := stream.read(_BLOCK):
            reserve(len(block))
            data += block
            if len(data) > limits.file_bytes:
                detail = f"files of an archive must hold at most {limits.file_bytes:,} bytes, got more; send it alone"
                raise ProblemError(ErrorCode.TOO_LARGE, detail)
    if _is_zip(bytes(data[:4])):
        raise ProblemError(
            ErrorCode.UNREADABLE_SCAN, "the archive must not contain archives; extract the inner one and send that"
        )
    return bytes(data)
