"""The one door through which files or a folder become a volume."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from brainslice.deadline import check_deadline
from brainslice.errors import UnreadableScanError
from brainslice.scan.detect import OPENING, ScanFormat, detect_format, is_dicom
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.files import file_bytes, is_folder, of_right_length, printable
from brainslice.scan.input_problem import InputProblem, InputProblemError
from brainslice.scan.types import Volume

MOST_FILES: Final = 5_000
"""A folder of more DICOM files is refused: it holds more than one examination."""


def read_volume(path: Path, *, series: str | None = None, first: bool = False) -> Volume:
    """Read a volume from a NIfTI file, a DICOM file of many frames, or a folder with a DICOM series.

    Args:
        path: The file or folder; files are known by their content.
        series: How the name of one of several DICOM series begins, as a refusal lists them.
        first: Whether to take the first volume of a file that holds several, such as times or echoes.

    Returns:
        The volume, standing: inferior to superior, anterior to posterior, right to left.

    Raises:
        UnreadableScanError: The one error for all that can be wrong: ``<path>: <fault>; <remedy>``.
    """
    try:
        if is_folder(path):
            return _read_series(
                {str(each.relative_to(path)): partial(file_bytes, each) for each in _dicom_files(path)}, series, first
            )
        data = file_bytes(path)
        return _read({path.name: lambda: data}, series, first)
    except UnreadableScanError as error:
        msg = f"{printable(str(path))}: {error}"
        raise UnreadableScanError(msg) from error


def decode_volume(files: Mapping[str, bytes], name: str, *, series: str | None = None, first: bool = False) -> Volume:
    """Read a volume from bytes that are in memory already, as those of an upload are; no file is touched.

    Args:
        files: The bytes of each file, whole: one NIfTI file, or the DICOM files of a series.
        name: What errors call them.
        series: As of ``read_volume``.
        first: As of ``read_volume``.

    Returns:
        As ``read_volume`` gives.

    Raises:
        UnreadableScanError: As of ``read_volume``.
        TimeLimitError: The deadline of the context has passed.
    """
    try:
        for data in files.values():
            of_right_length(data)
        return _read({each: partial(_in_time, data) for each, data in files.items()}, series, first)
    except UnreadableScanError as error:
        msg = f"{printable(name)}: {error}"
        raise UnreadableScanError(msg) from error


def _in_time(data: bytes) -> bytes:
    """Give a file's bytes while there is time; a series is read file by file."""
    check_deadline()
    return data


def _read(files: Mapping[str, Callable[[], bytes]], series: str | None, first: bool) -> Volume:  # noqa: FBT001 - the doors name it
    kinds = {detect_format(read()[:OPENING]) for read in files.values()}
    if kinds == {ScanFormat.DICOM}:
        return _read_series(files, series, first)
    if kinds == {ScanFormat.NIFTI} and len(files) == 1:
        (read,) = files.values()
        return _read_nifti(read(), first)
    fault = "must be one NIfTI file or the DICOM files of a series, got something else"
    raise InputProblemError(InputProblem.NO_VOLUME, fault, "`brainslice predict` takes pictures")


def _read_series(files: Mapping[str, Callable[[], bytes]], series: str | None, first: bool) -> Volume:  # noqa: FBT001 - the doors name it
    from brainslice.scan.dicom.series import read_series  # noqa: PLC0415 - a door to pydicom

    return read_series(files, series, first=first)


def _read_nifti(data: bytes, first: bool) -> Volume:  # noqa: FBT001 - the doors name it
    with as_unreadable("the NIfTI file"):
        from brainslice.scan.nifti.reader import read_nifti  # noqa: PLC0415 - a door to nibabel

        return read_nifti(data, hashlib.sha256(data).hexdigest(), first=first)


def _dicom_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        found += [path for name in sorted(names) if is_dicom(path := Path(place, name))]
        if len(found) > MOST_FILES:
            msg = f"must hold at most {MOST_FILES:,} DICOM files, got more; name the folder of one series"
            raise UnreadableScanError(msg)
    if not found:
        msg = "holds no DICOM files; name a NIfTI file, or the folder of a DICOM series"
        raise UnreadableScanError(msg)
    return found
