"""Cache of decoded scans: memory-mapped arrays on disk, in the manifest's order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32, Shaped, UInt8
from brainslice.arrays import InputBatch
from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.masks import tumour_mask
from brainslice.dataset.splits.known_datasets import find_mask
from brainslice.errors import DatasetError, UnreadableScanError
from brainslice.files import atomic_file, clear_leftovers
from brainslice.lock import exclusive_lock
from brainslice.preprocessing import LANDMARKS, Recipe, deciles, grey_statistics
from brainslice.progress import Progress, map_in_threads, silent
from brainslice.scan import Slice, read_scan

_Row: TypeAlias = Shaped[np.ndarray, "..."]
_STATISTICS: Final = 36
_STATISTICS_VERSION: Final = "grey statistics 1"


def decode_scans(manifest: Manifest, recipe: Recipe, cache: Path, progress: Progress = silent) -> InputBatch:
    """Decode and preprocess every scan, or read the arrays from the cache.

    The file name is a digest of the recipe and the contents of the scans, so that a cached array is never stale. It is
    written atomically.

    Args:
        manifest: The scans.
        recipe: Preprocessing of the network.
        cache: The folder of cached arrays.
        progress: Called with step, done and total.

    Returns:
        Grey values ``(n, size, size)``, memory-mapped, read-only.

    Raises:
        DatasetError: A scan is gone, unreadable, or not the one that was prepared.
        ResourceError: The disk is full.
    """
    path = cache / f"scans-{_key(manifest, recipe.digest)}.npy"
    shape = (len(manifest.records), recipe.size, recipe.size)

    def decode(record: Record) -> _Row:
        return recipe(read_record(manifest.root, record))

    rows = partial(map_in_threads, decode, manifest.records, "decoding scans", progress)
    return _cached(path, shape, np.dtype(np.uint8), rows)


def decode_outlines(
    manifest: Manifest, recipe: Recipe, cache: Path, progress: Progress = silent
) -> UInt8[np.ndarray, "n h w8"]:
    """Transform the outline of every lesion to network input, or read the arrays from the cache.

    Args:
        manifest: The scans; ``find_mask`` locates their outlines.
        recipe: Preprocessing of the network.
        cache: The folder of cached arrays.
        progress: Called with step, done and total.

    Returns:
        Lesion pixels ``(n, size, size / 8)``, packed to bits along the last axis; zero where none are known.

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
    rows = partial(map_in_threads, outline, manifest.records, "reading outlines", progress)
    return _cached(path, shape, np.dtype(np.uint8), rows)


def scan_deciles(
    manifest: Manifest, recipe: Recipe, cache: Path, progress: Progress = silent
) -> Float32[np.ndarray, "n landmarks"]:
    """Compute the foreground's deciles of every scan, from which landmarks are learnt, or read them from the cache.

    Args:
        manifest: The scans.
        recipe: Preprocessing of the network up to the stretch of grey values.
        cache: The folder of cached arrays.
        progress: Called with step, done and total.

    Returns:
        ``preprocessing.histogram.deciles`` of each stretched scan ``(n, 9)``, in the manifest's order.

    Raises:
        DatasetError: A scan is gone, unreadable, or not the one that was prepared.
        ResourceError: The disk is full.
    """
    path = cache / f"deciles-{_key(manifest, f'deciles 1 {recipe.digest}')}.npy"

    def of_record(record: Record) -> _Row:
        return deciles(recipe.stretched(read_record(manifest.root, record)))

    rows = partial(map_in_threads, of_record, manifest.records, "reading grey values", progress)
    return _cached(path, (len(manifest.records), LANDMARKS), np.dtype(np.float32), rows)


def scan_statistics(manifest: Manifest, cache: Path, progress: Progress = silent) -> Float32[np.ndarray, "n features"]:
    """Compute grey-level statistics of every scan, without spatial information, or read them from the cache.

    Returns:
        ``preprocessing.intensity.grey_statistics`` of each scan ``(n, 36)``, in the manifest's order.

    Raises:
        DatasetError: A scan is gone, unreadable, or not the one that was prepared.
        ResourceError: The disk is full.
    """
    path = cache / f"statistics-{_key(manifest, _STATISTICS_VERSION)}.npy"
    shape = (len(manifest.records), _STATISTICS)

    def statistics(record: Record) -> _Row:
        return grey_statistics(read_record(manifest.root, record).pixels)

    rows = partial(map_in_threads, statistics, manifest.records, "decoding scans", progress)
    return _cached(path, shape, np.dtype(np.float32), rows)


def _key(manifest: Manifest, method: str) -> str:
    digest = hashlib.sha256(method.encode())
    for record in manifest.records:
        digest.update(record.sha256.encode())
    return digest.hexdigest()[:32]


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


def _cached(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic], make: Callable[[], Iterator[_Row]]
) -> np.ndarray:
    cached, lock = _open(path, shape, dtype), path.with_name(f".{path.stem}.lock")
    # The lock of a killed process is still there.
    if cached is not None and not lock.exists():
        return cached
    # A cache may be shared by projects: only temporary files of this array are known to be stale.
    with exclusive_lock(lock, "decoding scans", wait=True):
        clear_leftovers(path.parent, path.stem)
        fresh = _open(path, shape, dtype)
        if fresh is None:
            _write(path, shape, dtype, make)
            fresh = _open(path, shape, dtype)
    if fresh is None:
        msg = f"{path}: was written but cannot be read back; check the disk"
        raise DatasetError(msg)
    return fresh


def _write(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic], make: Callable[[], Iterator[_Row]]) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        # Not written through a memory map: on a full disk that would kill the process.
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for row in make():
            stream.write(np.ascontiguousarray(row, dtype=dtype).tobytes())


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray | None:
    try:
        cached: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return cached if cached.shape == shape and cached.dtype == dtype else None
