"""Reading of volumes and slices from NIfTI files; the header is checked before voxels are decompressed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from brainslice.arrays import Voxels
from brainslice.errors import UnreadableScanError
from brainslice.scan.decompress import decompress
from brainslice.scan.input_problem import InputProblem, InputProblemError, frame_index
from brainslice.scan.types import MAX_VOXELS, Remark, RemarkCode, Slice, Spacing, Volume
from brainslice.scan.volume.orientation import Reorientation, reorient, reorientation_for

MAX_BYTES: Final = 400 * 1024 * 1024
"""Maximum bytes of the voxels, as stored and as single-precision numbers together."""

Header: TypeAlias = Nifti1Header

_FIRST_SIZE, _SECOND_SIZE = 348, 540
_MAX_ITEM_SIZE: Final = 8
# Gzip shortens no data more than this.
_MAX_EXPANSION: Final = 1032
# From RAS, as nibabel has it, to LPS.
_RAS_TO_LPS: Final = np.array([-1.0, -1.0, 1.0])
_ANISOTROPIC: Final = 1.2
# Tolerance of direction cosines: 2 degrees.
_SAME_AXES: Final = 0.035


def read_nifti(data: bytes, digest: str, *, first: bool = False) -> Volume:
    """Read a volume from a single-file NIfTI-1 or NIfTI-2, compressed or not.

    Text fields and extensions of the header, which may name a patient, are not read.

    Args:
        data: All bytes of the file.
        digest: The sha256 of the bytes, in hexadecimal.
        first: Whether to take the first of several volumes; otherwise they are refused.

    Raises:
        UnreadableScanError: The file is damaged, too large, has several volumes, or no scalar voxels.
        Exception: nibabel cannot parse the file.
    """
    header = read_header(data)
    shape = volume_shape(header, first=first)
    kind = _voxel_type(header)
    start = max(int(header["vox_offset"]), header.template_dtype.itemsize + 4)
    count = math.prod(shape)
    needed = start + count * kind.itemsize
    if count > MAX_VOXELS or needed + 4 * count > MAX_BYTES:
        most = min(MAX_VOXELS, MAX_BYTES // (kind.itemsize + 4))
        msg = f"must hold at most {most:,} voxels of type {kind}, got {shape}; scale it down"
        raise UnreadableScanError(msg)
    raw = decompress(data, needed) if _is_gzip(data) else data
    if len(raw) < needed:
        msg = f"must hold {needed:,} bytes as its header says, got {len(raw):,}; copy it again"
        raise UnreadableScanError(msg)
    affine, reorientation = _orientation(header)
    stored = np.frombuffer(raw, kind, count, start).reshape(shape, order="F")
    acquired = reorientation.plane_of(_slice_axis(header, affine))
    voxels, remarks = _scaled(stored, reorientation, header), _orientation_remarks(header, affine)
    return Volume(
        voxels,
        reorientation.spacing,
        acquired,
        reorientation.tilt,
        evenly_spaced=True,
        digest=digest,
        remarks=remarks,
    )


def read_nifti_slice(data: bytes, digest: str, frame: int | None = None) -> Slice:
    """Read a single-slice file, or an axial slice of a volume.

    Args:
        data: All bytes of the file.
        digest: The sha256 of the bytes, in hexadecimal.
        frame: The axial slice, from 1, inferior to superior; None where the file must have one slice only.

    Raises:
        UnreadableScanError: There are several slices and none was chosen, or there is no such slice.
        Exception: nibabel cannot parse the file.
    """
    header = read_header(data)
    shape = volume_shape(header)
    flat = min(shape) == 1
    if not flat and frame is None:
        # Refused before the voxels are decompressed.
        frame_index(None, axial_count(header), f"slices ({' x '.join(map(str, shape))} voxels)")
    volume = read_nifti(data, digest)
    if not flat:
        index = frame_index(frame, len(volume.voxels), "slices")
        return replace(volume.axial_slice(index), remarks=volume.remarks)
    frame_index(frame, 1)
    thin = volume.voxels.shape.index(1)
    row, column = (step for axis, step in enumerate(volume.spacing) if axis != thin)
    found = Slice.with_square_pixels(np.ascontiguousarray(volume.voxels.squeeze(thin)), digest, Spacing(row, column))
    return replace(found, remarks=volume.remarks)


def read_header(data: bytes) -> Header:
    """Read the header of a file.

    Raises:
        UnreadableScanError: The file is shorter than its header, or than the voxels that the header states can be.
        Exception: nibabel cannot parse the header.
    """
    opening = bytes(decompress(data, _SECOND_SIZE)) if _is_gzip(data) else data[:_SECOND_SIZE]
    second = opening[4:7] == b"n+2"
    size = _SECOND_SIZE if second else _FIRST_SIZE
    if len(opening) < size:
        msg = "the NIfTI file ends within its header; copy it again"
        raise UnreadableScanError(msg)
    # Unchecked: nibabel would print and repair errors, which are refused below.
    header = Nifti2Header(opening, check=False) if second else Nifti1Header(opening[:size], check=False)
    if math.prod(map(int, header.get_data_shape())) > _MAX_EXPANSION * len(data):
        msg = f"its header states more voxels than a file of {len(data):,} bytes can hold; copy it again"
        raise UnreadableScanError(msg)
    return header


def volume_shape(header: Header, *, first: bool = False) -> tuple[int, int, int]:
    """Return the number of voxels along the three spatial axes.

    Args:
        header: The header.
        first: Whether to accept several volumes.

    Raises:
        UnreadableScanError: A number is below 1, or there are several volumes.
    """
    sizes = [int(size) for size in header.get_data_shape()]
    if not 1 <= len(sizes) <= 7 or min(sizes) < 1:  # noqa: PLR2004 - axes in a header
        msg = f"the NIfTI file must have 1 to 7 axes of at least one voxel, got {sizes}; export it again"
        raise UnreadableScanError(msg)
    volumes = math.prod(sizes[3:])
    if volumes > 1 and not first:
        fault = f"holds {volumes} volumes ({' x '.join(map(str, sizes))}) where one was expected"
        remedy = "give `--first-volume` to `brainslice predict-volume`, or export one of them"
        raise InputProblemError(InputProblem.SEVERAL_VOLUMES, fault, remedy)
    rows, columns, slices = (*sizes, 1, 1)[:3]
    return rows, columns, slices


def axial_count(header: Header) -> int:
    """Count the axial slices of a volume after reorientation.

    Raises:
        UnreadableScanError: The shape or the orientation is invalid.
    """
    return volume_shape(header)[_orientation(header)[1].order[0]]


def _orientation(header: Header) -> tuple[np.ndarray, Reorientation]:
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    return affine, reorientation_for(affine[:3, :3].T * _RAS_TO_LPS)


def _orientation_remarks(header: Header, affine: np.ndarray) -> tuple[Remark, ...]:
    """Remark on a missing, ambiguous or sheared orientation."""
    qform, sform = int(header["qform_code"]), int(header["sform_code"])
    found = []
    if not qform and not sform:
        message = "the header gives no orientation (qform_code and sform_code are 0); one was assumed"
        found.append(Remark(RemarkCode.NO_ORIENTATION, message))
    if qform and sform and not np.allclose(_axes(header.get_qform()), _axes(header.get_sform()), atol=_SAME_AXES):
        message = "qform and sform of the header disagree; sform was used"
        found.append(Remark(RemarkCode.ORIENTATIONS_DISAGREE, message))
    axes = _axes(affine)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=_SAME_AXES):
        message = "the orientation in the header is sheared; the nearest axes were used"
        found.append(Remark(RemarkCode.SHEARED, message))
    return tuple(found)


def _axes(affine: np.ndarray) -> np.ndarray:
    directions = np.asarray(affine, dtype=np.float64)[:3, :3]
    return np.asarray(directions / np.maximum(np.linalg.norm(directions, axis=0), 1e-12))


def _voxel_type(header: Header) -> np.dtype[np.generic]:
    kind: np.dtype[np.generic] = header.get_data_dtype()
    if kind.kind not in "iuf" or kind.itemsize > _MAX_ITEM_SIZE:
        msg = f"voxels must be whole or real numbers, got {kind.name[:20]}; export grey values"
        raise UnreadableScanError(msg)
    return kind


def _scaled(stored: np.ndarray, reorientation: Reorientation, header: Header) -> Voxels:
    voxels = reorient(stored, reorientation)
    slope, intercept = header.get_slope_inter()
    if slope not in {None, 1.0}:
        voxels *= np.float32(slope)
    if intercept:
        voxels += np.float32(intercept)
    return voxels


def _slice_axis(header: Header, affine: np.ndarray) -> int:
    """Return the axis from slice to slice, as acquired."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    longest = int(np.argmax(lengths))
    if lengths[longest] > _ANISOTROPIC * np.median(lengths):
        return longest
    axis = header.get_dim_info()[2]
    return 2 if axis is None else int(axis)


def _is_gzip(data: bytes) -> bool:
    return data[:2] == b"\x1f\x8b"
