"""Every scan decoded once: arrays on disk, in the manifest's order, read back without copying."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from brainslice.arrays import InputBatch
from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.masks import tumour_mask
from brainslice.dataset.splits.known_datasets import find_mask
from brainslice.errors import DatasetError, UnreadableScanError
from brainslice.files import atomic_file
from brainslice.preprocessing.intensity import grey_statistics
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.scan.read import read_scan
from brainslice.scan.types import Slice

_Row: TypeAlias = Shaped[np.ndarray, "..."]
_BLOCK: Final = 128
"""Scans decoded between two writes: what a crash wastes and what memory holds."""

_STATISTICS: Final = 36
_STATISTICS_VERSION: Final = "grey statistics 1"


def decode_scans(manifest: Manifest, recipe: Recipe, cache: Path, progress: Progress = silent) -> InputBatch:
    """Turn every scan into network input, or find that this has been done before.

    The array is kept under a name made of the recipe and the scans' contents: another recipe, or another
    scan, makes another file. It is written whole or not at all.

    Args:
        manifest: The scans.
        recipe: How a scan becomes network input.
        cache: The folder that keeps the arrays.
        progress: Hears how many scans are done.

    Returns:
        Grey values ``(n, size, size)``, memory-mapped and read-only, in the manifest's order.

    Raises:
        DatasetError: A scan is gone, unreadable, or not the one that was prepared.
        ResourceError: The disk is full.
    """
    path = cache / f"scans-{_key(manifest, recipe.digest)}.npy"
    shape = (len(manifest.records), recipe.size, recipe.size)

    def decode(record: Record) -> _Row:
        return recipe(read_record(manifest.root, record))

    return _kept(path, shape, np.dtype(np.uint8), lambda: _rows(manifest, decode, "decoding scans", progress))


def decode_outlines(
    manifest: Manifest, recipe: Recipe, cache: Path, progress: Progress = silent
) -> UInt8[np.ndarray, "n h w8"]:
    """Bring the outline of every lesion into the network's frame, or find that this has been done before.

    Args:
        manifest: The scans; ``find_mask`` says where their outlines are.
        recipe: How a scan becomes network input.
        cache: The folder that keeps the arrays.
        progress: Called with the number of scans done.

    Returns:
        Pixels of the lesions ``(n, size, size / 8)``, eight a byte along the last axis; zero where none is known.

    Raises:
        UnreadableScanError: An outline is damaged.
        ResourceError: The disk is full.
    """
    masks = [found for record in manifest.records if (found := find_mask(manifest, record)) is not None]
    method = f"{recipe.digest} {[(path.name, path.stat().st_size, mirrored) for path, mirrored in masks]}"
    path = cache / f"outlines-{_key(manifest, method)}.npy"

    def outline(record: Record) -> _Row:
        mask = tumour_mask(manifest, record, recipe)
        empty = np.zeros((recipe.size, recipe.size // 8), np.uint8)
        return empty if mask is None else np.packbits(mask, axis=-1)

    shape = (len(manifest.records), recipe.size, recipe.size // 8)
    return _kept(path, shape, np.dtype(np.uint8), lambda: _rows(manifest, outline, "reading outlines", progress))


def scan_statistics(manifest: Manifest, cache: Path, progress: Progress = silent) -> Float32[np.ndarray, "n features"]:
    """Sum up every scan's grey values, without any spatial information; kept like the decoded scans.

    Returns:
        ``prepare.intensity.grey_statistics`` of each scan ``(n, 36)``, in the manifest's order.

    Raises:
        DatasetError: A scan is gone, unreadable, or not the one that was prepared.
        ResourceError: The disk is full.
    """
    path = cache / f"statistics-{_key(manifest, _STATISTICS_VERSION)}.npy"
    shape = (len(manifest.records), _STATISTICS)

    def statistics(record: Record) -> _Row:
        return grey_statistics(read_record(manifest.root, record).pixels)

    return _kept(path, shape, np.dtype(np.float32), lambda: _rows(manifest, statistics, "decoding scans", progress))


def _key(manifest: Manifest, method: str) -> str:
    digest = hashlib.sha256(method.encode())
    for record in manifest.records:
        digest.update(record.sha256.encode())
    return digest.hexdigest()[:32]


def _rows(manifest: Manifest, method: Callable[[Record], _Row], step: str, progress: Progress) -> Iterator[_Row]:
    total = len(manifest.records)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, total, _BLOCK):
            yield np.stack(list(pool.map(method, manifest.records[start : start + _BLOCK])))
            progress(step, min(start + _BLOCK, total), total)


def read_record(root: Path, record: Record) -> Slice:
    """Read a scan of a prepared set.

    Raises:
        DatasetError: It is gone, unreadable, or not the one that was prepared.
    """
    try:
        scan = read_scan(root / record.path)
    except UnreadableScanError as error:
        msg = f"{error}; the set was readable when it was prepared, so run brainslice prepare again"
        raise DatasetError(msg) from error
    if scan.digest != record.sha256:
        msg = f"{root / record.path}: is not the file that was prepared; run brainslice prepare again"
        raise DatasetError(msg)
    return scan


def _kept(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic], make: Callable[[], Iterator[_Row]]
) -> np.ndarray:
    kept = _open(path, shape, dtype)
    if kept is not None:
        return kept
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        # Plain writes: a memory map on a full disk does not raise an error, it kills the process.
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for rows in make():
            stream.write(np.ascontiguousarray(rows, dtype=dtype).tobytes())
    fresh = _open(path, shape, dtype)
    if fresh is None:
        msg = f"{path}: was written but cannot be read back; check the disk"
        raise DatasetError(msg)
    return fresh


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray | None:
    try:
        kept: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == dtype else None
