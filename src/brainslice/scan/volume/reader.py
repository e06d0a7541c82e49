"""Volumes read from files, folders and uploads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from brainslice.deadline import check_deadline
from brainslice.errors import UnreadableScanError
from brainslice.scan.detect import OPENING, ScanFormat, detect_format
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.files import check_length, file_bytes, is_folder, leading_bytes, printable
from brainslice.scan.input_problem import InputProblem, InputProblemError
from brainslice.scan.listing import SkippedFiles, walk_scans
from brainslice.scan.types import Remark, RemarkCode, Volume

MAX_FILES: Final = 5_000
"""Maximum number of DICOM files in a folder; more belong to several studies."""

BESIDE: Final = "files beside the volume"

_MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class _Choice:
    series: str | None
    first: bool


@dataclass(frozen=True, slots=True)
class _File:
    read: Callable[[], bytes]
    kind: ScanFormat | None


_Files: TypeAlias = Mapping[str, _File]


def read_volume(path: Path, *, series: str | None = None, first: bool = False) -> Volume:
    """Read a volume from a NIfTI file, a DICOM file of many frames, or a folder with a DICOM series or a NIfTI file.

    Args:
        path: The file or folder, such as a patient CD; formats are detected by content.
        series: The beginning of the name of one of several DICOM series, as listed in the error.
        first: Whether to take the first volume of a file that holds several, such as times or echoes.

    Returns:
        The volume: inferior to superior, anterior to posterior, right to left; a remark counts files passed over.

    Raises:
        UnreadableScanError: The path cannot be read; the message is ``<path>: <fault>; <remedy>``.
    """
    skipped = SkippedFiles()
    try:
        if is_folder(path):
            files: _Files = _files_of_folder(path, skipped)
        else:
            data = file_bytes(path)
            files = {path.name: _File(lambda: data, detect_format(data[:OPENING]))}
        return _read(files, _Choice(series, first), skipped)
    except UnreadableScanError as error:
        msg = f"{printable(str(path))}: {error}"
        raise UnreadableScanError(msg) from error


def decode_volume(
    files: Mapping[str, bytes],
    name: str,
    *,
    series: str | None = None,
    first: bool = False,
    skipped: SkippedFiles | None = None,
) -> Volume:
    """Read a volume from bytes in memory, such as an upload.

    Args:
        files: All bytes of each file: one NIfTI file, or the DICOM files of a series; others are passed over.
        name: The name for error messages.
        series: As for ``read_volume``.
        first: As for ``read_volume``.
        skipped: Files passed over before.

    Returns:
        As ``read_volume``.

    Raises:
        UnreadableScanError: As for ``read_volume``.
        TimeLimitError: The deadline of the context has passed.
    """
    try:
        alone = len(files) == 1
        read = {
            each: _File(partial(_before_deadline, data), _kind(check_length(data)[:OPENING], alone=alone))
            for each, data in files.items()
        }
        return _read(read, _Choice(series, first), skipped or SkippedFiles())
    except UnreadableScanError as error:
        msg = f"{printable(name)}: {error}"
        raise UnreadableScanError(msg) from error


def _before_deadline(data: bytes) -> bytes:
    """Return the bytes after checking the deadline, for each file of a series."""
    check_deadline()
    return data


def _kind(opening: bytes, *, alone: bool = False) -> ScanFormat | None:
    try:
        return detect_format(opening)
    except UnreadableScanError:
        if alone:
            raise
        return None


def _files_of_folder(folder: Path, skipped: SkippedFiles) -> _Files:
    files: dict[str, _File] = {}
    count = 0
    for path in walk_scans(folder, skipped):
        found = _File(partial(file_bytes, path), _kind(leading_bytes(path, OPENING)))
        count += found.kind is ScanFormat.DICOM
        if count > MAX_FILES:
            msg = f"must hold at most {MAX_FILES:,} DICOM files, got more; name the folder of one series"
            raise UnreadableScanError(msg)
        files[str(path.relative_to(folder))] = found
    return files


def _read(files: _Files, choice: _Choice, skipped: SkippedFiles) -> Volume:
    dicom, nifti = (
        {name: file.read for name, file in files.items() if file.kind is kind}
        for kind in (ScanFormat.DICOM, ScanFormat.NIFTI)
    )
    used = dicom or nifti
    for name in files.keys() - used.keys():
        skipped.add(BESIDE, name)
    if not used:
        fault = "holds no DICOM series and no NIfTI file"
        raise InputProblemError(InputProblem.NO_VOLUME, fault, "`brainslice predict` takes pictures")
    if not dicom and len(nifti) > 1:
        names = ", ".join(sorted(map(printable, nifti))[:_MAX_NAMED])
        fault = f"must be one NIfTI file or the DICOM files of a series, got {len(nifti)} NIfTI files ({names})"
        raise InputProblemError(InputProblem.NO_VOLUME, fault, "name the files one by one")
    volume = _read_series(dicom, choice) if dicom else _read_nifti(next(iter(nifti.values()))(), choice)
    if not skipped.counts:
        return volume
    remark = Remark(RemarkCode.PASSED_OVER, skipped.summary, skipped.counts.total())
    return replace(volume, remarks=(*volume.remarks, remark))


def _read_series(files: Mapping[str, Callable[[], bytes]], choice: _Choice) -> Volume:
    from brainslice.scan.dicom.series import read_series  # noqa: PLC0415 - loads pydicom

    return read_series(files, choice.series, first=choice.first)


def _read_nifti(data: bytes, choice: _Choice) -> Volume:
    with as_unreadable("the NIfTI file"):
        from brainslice.scan.nifti.reader import read_nifti  # noqa: PLC0415 - loads nibabel

        return read_nifti(data, hashlib.sha256(data).hexdigest(), first=choice.first)
