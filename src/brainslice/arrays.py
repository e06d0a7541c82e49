"""Names of array shapes in public signatures.

Dimensions: ``n`` scans, ``k`` classes, ``h`` rows, ``w`` columns, ``c`` channels. Tests check all annotated signatures
at run time.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import TypeAlias

import numpy as np

from brainslice.array_types import Bool, Float, Float32, Int, UInt8

Pixels: TypeAlias = Float32[np.ndarray, "h w"]
"""The grey values of one slice as stored in its file, of any range."""

Voxels: TypeAlias = Float32[np.ndarray, "s h w"]
"""The grey values of a stack of ``s`` slices, of any range."""

NetworkInput: TypeAlias = UInt8[np.ndarray, "h w"]
"""The input of a network: grey values of 0 to 255."""

InputBatch: TypeAlias = UInt8[np.ndarray, "n h w"]
"""Several network inputs of one size."""

Logits: TypeAlias = Float[np.ndarray, "n k"]
"""Raw class scores, before any softmax."""

Probabilities: TypeAlias = Float[np.ndarray, "n k"]
"""Class probabilities; every row sums to one."""

Labels: TypeAlias = Int[np.ndarray, " n"]
"""True classes as indices into a ``LabelSet``."""

ClassMaps: TypeAlias = Float[np.ndarray, "n mh mw k"]
"""The score of each class at each position, which the head pools to logits."""

Features: TypeAlias = Float[np.ndarray, "n f"]
"""The spatial means of the last features of each scan."""

MemberLogits: TypeAlias = Float[np.ndarray, "n m k"]
"""Raw class scores of each member of an ensemble; their mean is the ensemble's logits."""

MemberProbabilities: TypeAlias = Float[np.ndarray, "n m k"]
"""Class probabilities of each member of an ensemble, or of each draw; every row sums to one."""

Groups: TypeAlias = Int[np.ndarray, " n"]
"""The group number of each scan; a split must not divide a group."""

Scores: TypeAlias = Float[np.ndarray, " n"]
"""A real number for each scan."""

Decisions: TypeAlias = Bool[np.ndarray, " n"]
"""A boolean for each scan."""

Mask: TypeAlias = Bool[np.ndarray, "h w"]
"""A boolean for each pixel."""

Heat: TypeAlias = Float[np.ndarray, "h w"]
"""A heat map, at least 0."""


def check_npz(path: Path) -> None:
    """Check the sizes that the headers of an uncompressed npz file state, before arrays of these sizes are allocated.

    Raises:
        ValueError: A size differs from the bytes that are there, or an array is compressed or encrypted.
        BadZipFile: The file is not an npz file.
        OSError: The file cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                msg = f"{entry.filename} must be neither compressed nor encrypted"
                raise ValueError(msg)
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                first = version == (1, 0)
                read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                shape, _, kind = read(stream)
                stated = stream.tell() + math.prod(shape) * kind.itemsize
            if stated != entry.file_size:
                msg = f"{entry.filename} must hold {stated} bytes for its shape {shape}, got {entry.file_size}"
                raise ValueError(msg)
