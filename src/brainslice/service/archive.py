"""Extraction of zip archives in memory, within the limits of uploads."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from brainslice.scan import OPENING, SkippedFiles, reason_to_skip
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits
from brainslice.service.uploads import UploadedFile, plain_name

_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_BLOCK: Final = 1 << 18
_ENCRYPTED: Final = 0x1
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
    files: Sequence[UploadedFile], limits: Limits, reserve: Callable[[int], None], skipped: SkippedFiles | None = None
) -> list[UploadedFile]:
    """Replace each zip archive by the scans in it.

    Args:
        files: The uploaded files.
        limits: Limits of number and size.
        reserve: Called with the number of bytes before they are kept; raises if they are too many.
        skipped: Counts what is passed over in archives, such as DICOMDIR and a viewer.

    Raises:
        ProblemError: An archive is damaged, encrypted or nested, or exceeds the limits.
    """
    found: list[UploadedFile] = []
    for file in files:
        found += _members(file, limits, reserve, skipped or SkippedFiles()) if _is_zip(file.data) else [file]
        if len(found) > limits.study_files:
            raise ProblemError(
                ErrorCode.TOO_LARGE, f"a study must be at most {limits.study_files} files; send one series"
            )
    if not found:
        raise ProblemError(ErrorCode.UNREADABLE_SCAN, "the archive must contain scans, got none; zip the study again")
    return found


def _is_zip(data: bytes) -> bool:
    return data.startswith((_ZIP, _EMPTY_ZIP))


def _members(
    file: UploadedFile, limits: Limits, reserve: Callable[[int], None], skipped: SkippedFiles
) -> Iterator[UploadedFile]:
    try:
        # Counted before zipfile makes an object of each.
        if file.data.count(_ENTRY) > _MAX_ENTRIES:
            detail = f"an archive must hold at most {_MAX_ENTRIES:,} entries, got more; zip one series alone"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            entries = {entry: _path(entry) for entry in archive.infolist() if not entry.is_dir() and _path(entry).parts}
            siblings: dict[PurePosixPath, set[str]] = {}
            for path in entries.values():
                siblings.setdefault(path.parent, set()).add(path.name.casefold())
            for entry, path in entries.items():
                opening = partial(_opening, archive, entry)
                if reason := reason_to_skip(path.parts, siblings[path.parent], opening):
                    skipped.add(reason, plain_name(path.name))
                else:
                    yield UploadedFile(plain_name(path.name), _extract(archive, entry, limits, reserve))
    except _DAMAGE as error:
        detail = f"the archive is damaged or unsupported ({type(error).__name__}); make it again as plain zip"
        raise ProblemError(ErrorCode.UNREADABLE_SCAN, detail) from None


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    # Some programs for Windows write backslashes between folders.
    return PurePosixPath(entry.filename.replace("\\", "/").strip("/"))


def _opening(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    _refuse_unreadable(entry)
    with archive.open(entry) as stream:
        return stream.read(OPENING)


def _refuse_unreadable(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise ProblemError(
            ErrorCode.UNREADABLE_SCAN, "the archive must not be encrypted; make it again without a password"
        )
    if entry.compress_type not in _COMPRESSIONS:
        raise ProblemError(
            ErrorCode.UNREADABLE_SCAN, "the archive must be stored or deflated; make it again as plain zip"
        )


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, reserve: Callable[[int], None]) -> bytes:
    _refuse_unreadable(entry)
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
