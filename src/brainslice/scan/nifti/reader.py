"""A NIfTI file becomes a volume, and its header is checked before anything large is read."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from brainslice.arrays import Voxels
from brainslice.errors import UnreadableScanError
from brainslice.scan.decompress import decompress
from brainslice.scan.input_problem import InputProblem, InputProblemError
from brainslice.scan.types import MOST_VOXELS, Remark, RemarkCode, Volume
from brainslice.scan.volume.orientation import Reorientation, reorient, reorientation_for

MOST_BYTES: Final = 400 * 1024 * 1024
"""Bytes that the voxels may take, as stored and as single-precision numbers together."""

Header: TypeAlias = Nifti1Header

_FIRST_SIZE, _SECOND_SIZE = 348, 540
_LONGEST_NUMBER: Final = 8
# Left, posterior, superior from right, anterior, superior.
_LEFT_POSTERIOR: Final = np.array([-1.0, -1.0, 1.0])
_ANISOTROPIC: Final = 1.2
# Directions cosines that differ by less are equal: 2 degrees.
_SAME_AXES: Final = 0.035


def read_nifti(data: bytes, digest: str, *, first: bool = False) -> Volume:
    """Read a volume from a NIfTI-1 or NIfTI-2 file in one piece, compressed or not.

    Only what describes the voxels is read; the texts and extensions of a header, which may name a patient, are not.

    Args:
        data: The file's bytes, whole.
        digest: Their sha256 in hexadecimal.
        first: Whether to take the first of several volumes; otherwise they are refused.

    Returns:
        The volume, standing.

    Raises:
        UnreadableScanError: The file is damaged, too large, of several volumes, or of no grey values.
        Exception: Whatever nibabel raises of damaged files.
    """
    header = read_header(data)
    shape = volume_shape(header, first=first)
    kind = _kind_of_numbers(header)
    start = max(int(header["vox_offset"]), header.template_dtype.itemsize + 4)
    count = math.prod(shape)
    needed = start + count * kind.itemsize
    if count > MOST_VOXELS or needed + 4 * count > MOST_BYTES:
        most = min(MOST_VOXELS, MOST_BYTES // (kind.itemsize + 4))
        msg = f"must hold at most {most:,} voxels of type {kind}, got {shape}; scale it down"
        raise UnreadableScanError(msg)
    raw = decompress(data, needed) if _is_packed(data) else data
    if len(raw) < needed:
        msg = f"must hold {needed:,} bytes as its header says, got {len(raw):,}; copy it again"
        raise UnreadableScanError(msg)
    affine, turn = _orientation(header)
    stored = np.frombuffer(raw, kind, count, start).reshape(shape, order="F")
    acquired = turn.plane_of(_slice_axis(header, affine))
    voxels, remarks = _scaled(stored, turn, header), _orientation_remarks(header, affine)
    return Volume(voxels, turn.spacing, acquired, turn.tilt, evenly_spaced=True, digest=digest, remarks=remarks)


def read_header(data: bytes) -> Header:
    """Read what a file says of itself.

    Raises:
        UnreadableScanError: The file ends before its header does.
        Exception: Whatever nibabel raises of damaged headers.
    """
    opening = bytes(decompress(data, _SECOND_SIZE)) if _is_packed(data) else data[:_SECOND_SIZE]
    second = opening[4:7] == b"n+2"
    size = _SECOND_SIZE if second else _FIRST_SIZE
    if len(opening) < size:
        msg = "the NIfTI file ends within its header; copy it again"
        raise UnreadableScanError(msg)
    # Unchecked: nibabel would print what it finds wrong, and mend it; here it is refused below.
    return Nifti2Header(opening, check=False) if second else Nifti1Header(opening[:size], check=False)


def volume_shape(header: Header, *, first: bool = False) -> tuple[int, int, int]:
    """Find how many voxels lie along the three axes of space.

    Args:
        header: The file's header.
        first: Whether the first of several volumes will do.

    Raises:
        UnreadableScanError: A number is below 1, or there are several volumes.
    """
    sizes = [int(size) for size in header.get_data_shape()]
    if not 1 <= len(sizes) <= 7 or min(sizes) < 1:  # noqa: PLR2004 - what a header has room for
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
    return affine, reorientation_for(affine[:3, :3].T * _LEFT_POSTERIOR)


def _orientation_remarks(header: Header, affine: np.ndarray) -> tuple[Remark, ...]:
    """State where the header's orientation is missing, ambiguous or sheared."""
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


def _kind_of_numbers(header: Header) -> np.dtype[np.generic]:
    kind: np.dtype[np.generic] = header.get_data_dtype()
    if kind.kind not in "iuf" or kind.itemsize > _LONGEST_NUMBER:
        msg = f"voxels must be whole or real numbers, got {kind.name[:20]}; export grey values"
        raise UnreadableScanError(msg)
    return kind


def _scaled(stored: np.ndarray, turn: Reorientation, header: Header) -> Voxels:
    voxels = reorient(stored, turn)
    slope, intercept = header.get_slope_inter()
    if slope not in {None, 1.0}:
        voxels *= np.float32(slope)
    if intercept:
        voxels += np.float32(intercept)
    return voxels


def _slice_axis(header: Header, affine: np.ndarray) -> int:
    """Find the axis along which the scanner took one slice after the other."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    longest = int(np.argmax(lengths))
    if lengths[longest] > _ANISOTROPIC * np.median(lengths):
        return longest
    told = header.get_dim_info()[2]
    return 2 if told is None else int(told)


def _is_packed(data: bytes) -> bool:
    return data[:2] == b"\x1f\x8b"
