"""One slice from a NIfTI file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brainslice.scan.frames import frame_index
from brainslice.scan.nifti.reader import axial_count, read_header, read_nifti, volume_shape
from brainslice.scan.types import Slice, Spacing


def read_nifti_slice(data: bytes, digest: str, frame: int | None = None) -> Slice:
    """Read a file of one slice, or one axial slice of a volume.

    Args:
        data: The file's bytes, whole.
        digest: Their sha256 in hexadecimal.
        frame: Which axial slice, from 1 and from inferior to superior; None where there must be one slice only.

    Returns:
        The slice, standing.

    Raises:
        UnreadableScanError: There are several slices and none was chosen, or there is no such slice.
        Exception: Whatever nibabel raises of damaged files.
    """
    header = read_header(data)
    shape = volume_shape(header)
    flat = min(shape) == 1
    if not flat and frame is None:
        # Refused by the header: the voxels are not even inflated.
        frame_index(None, axial_count(header), f"slices ({' x '.join(map(str, shape))} voxels)")
    volume = read_nifti(data, digest)
    if not flat:
        index = frame_index(frame, len(volume.voxels), "slices")
        return replace(volume.axial_slice(index), remarks=volume.remarks)
    frame_index(frame, 1)
    thin = volume.voxels.shape.index(1)
    row, column = (step for axis, step in enumerate(volume.spacing) if axis != thin)
    found = Slice.of_squares(np.ascontiguousarray(volume.voxels.squeeze(thin)), digest, Spacing(row, column))
    return replace(found, remarks=volume.remarks)
