"""Reading of a volume from a DICOM series or a multi-frame file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np

from brainslice.arrays import Pixels, Voxels
from brainslice.errors import UnreadableScanError
from brainslice.scan.decoder_process import decode_isolated
from brainslice.scan.detect import ScanFormat, needs_isolation
from brainslice.scan.dicom.file import open_dicom
from brainslice.scan.dicom.intensity import grey_frame
from brainslice.scan.dicom.pixels import decode_frames
from brainslice.scan.dicom.reader import COMPLEX_PARTS, check_modality, is_non_image
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.files import printable
from brainslice.scan.input_problem import InputProblem, InputProblemError
from brainslice.scan.types import MAX_VOXELS, Remark, RemarkCode, SourceStack, Volume
from brainslice.scan.volume.stacks import (
    MIN_SLICES,
    SeriesGeometry,
    SlicePosition,
    SliceStack,
    group_slices,
    slice_positions,
)

Files: TypeAlias = Mapping[str, Callable[[], bytes]]
"""Readers of files by name; a series is never in memory as a whole."""

_MAX_LISTED: Final = 12


def read_series(files: Files, series: str | None = None, *, first: bool = False) -> Volume:
    """Read one series from DICOM files, with its slices sorted by position.

    Files are read one at a time, twice: for the positions, then for the pixels.

    Args:
        files: The files, in any order.
        series: The beginning of the name of one of several series.
        first: Whether to take the first of several images of one position, such as echoes or times.

    Returns:
        The volume, with rescaled values and no window applied.

    Raises:
        UnreadableScanError: A file is damaged, or there is no series, or several and none was chosen.
    """
    missing: set[str] = set()
    stack, remarks = _select_stack(
        [found for name in files for found in _positions(name, files, missing)], series, missing
    )
    single = stack.first_images()
    images, positions = len(stack.positions), len(single.positions)
    if positions < images and not first:
        fault = f"the series holds {images} pictures of {positions} places (echoes, times or copies)"
        remedy = "`--first-volume` takes the first of each place"
        raise InputProblemError(InputProblem.SEVERAL_VOLUMES, fault, remedy)
    voxels, digest = _read(single, files)
    reorientation = single.reorientation()
    sources = tuple((place.file, place.frame) for place in single.positions)
    return Volume(
        reorientation(voxels),
        reorientation.spacing,
        reorientation.plane_of(0),
        reorientation.tilt,
        evenly_spaced=single.evenly_spaced,
        digest=digest,
        stack=SourceStack(sources, reorientation),
        remarks=remarks,
    )


@contextmanager
def _errors_naming(name: str, files: Files) -> Iterator[None]:
    """Prefix errors with the file's name, where there are several files."""
    try:
        with as_unreadable("the DICOM file"):
            yield
    except UnreadableScanError as error:
        if len(files) == 1:
            raise
        msg = f"{printable(name)}: {error}"
        raise UnreadableScanError(msg) from error


def _positions(name: str, files: Files, missing: set[str]) -> list[tuple[SeriesGeometry, SlicePosition]]:
    data = files[name]()
    with _errors_naming(name, files):
        image = open_dicom(data, pixels=False)
        if "Rows" not in image or "Columns" not in image or (len(files) > 1 and is_non_image(image)):
            return []
        check_modality(image)
        return slice_positions(image, name, missing)


def _select_stack(
    found: list[tuple[SeriesGeometry, SlicePosition]], series: str | None, missing: set[str]
) -> tuple[SliceStack, tuple[Remark, ...]]:
    with as_unreadable("the DICOM series"):
        stacks = group_slices(found)
        listed = stacks[:_MAX_LISTED]
        known = ", ".join(map(str, listed))
        details = {"series": [stack.details() for stack in listed]}
    if not stacks:
        without = f" (missing: {', '.join(sorted(missing))})" if missing else ""
        fault = f"holds no series of {MIN_SLICES} or more parallel slices with positions{without}"
        raise InputProblemError(
            InputProblem.NO_SERIES, fault, "predict its slices one by one with `brainslice predict`"
        )
    matching = [stack for stack in stacks if series is None or stack.name.startswith(series)]
    remarks: tuple[Remark, ...] = ()
    anatomy = [stack for stack in matching if not stack.geometry.kind]
    if series is None and len(anatomy) == 1 < len(matching):
        kinds = ", ".join(sorted({stack.geometry.kind for stack in matching if stack.geometry.kind}))
        remarks = (Remark(RemarkCode.KINDS, f"pictures of other kinds were left out: {kinds}", kinds),)
        matching = anatomy
    if len(matching) == 1 and matching[0].geometry.kind in COMPLEX_PARTS:
        msg = f"must be magnitude pictures, got {matching[0].geometry.kind} pictures only; choose the magnitude series"
        raise UnreadableScanError(msg)
    if len(matching) != 1:
        asked = "several series" if series is None else f"{len(matching)} series of the name {series!r}"
        remedy = f"choose one with `--series NAME`: {known}"
        raise InputProblemError(InputProblem.SEVERAL_SERIES, f"holds {asked}", remedy, details)
    return matching[0], remarks


def _read(stack: SliceStack, files: Files) -> tuple[Voxels, str]:
    count, (rows, columns) = len(stack.positions), stack.geometry.size
    if count * rows * columns > MAX_VOXELS:
        msg = f"must hold at most {MAX_VOXELS:,} voxels, got {count} x {rows} x {columns}; scale it down"
        raise UnreadableScanError(msg)
    voxels = np.empty((count, rows, columns), dtype=np.float32)
    digest = hashlib.sha256()
    at = {(place.file, place.frame): number for number, place in enumerate(stack.positions)}
    for name, frames in groupby(sorted(at), key=lambda each: each[0]):
        data = files[name]()
        digest.update(hashlib.sha256(data).digest())
        with _errors_naming(name, files):
            wanted = [frame for _, frame in frames]
            isolated = needs_isolation(ScanFormat.DICOM, data)
            decoded = decode_isolated(_grey_frames, data, wanted) if isolated else _grey_frames(data, wanted)
            for frame, grey in zip(wanted, decoded, strict=True):
                voxels[at[name, frame]] = grey
    return voxels, digest.hexdigest()


def _grey_frames(data: bytes, wanted: list[int]) -> Iterator[Pixels]:
    image = open_dicom(data)
    for frame, stored in zip(wanted, decode_frames(image, wanted), strict=True):
        yield grey_frame(stored, image, frame, window=False)
