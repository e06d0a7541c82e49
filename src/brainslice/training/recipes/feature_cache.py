"""What the frozen part of a network makes of every view of every scan, computed once and kept on the disk.

The layers below the cut never change in the recipe ``quick`` (their BatchNorm included), so training above it from
these arrays is training the whole network with those layers frozen, exact up to the half precision they are kept in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int

from brainslice.arrays import InputBatch
from brainslice.errors import ResourceError
from brainslice.files import full_disk_error, write_text
from brainslice.progress import Progress

Views: TypeAlias = Float32[np.ndarray, "b h w channels"]
FrozenFeatures: TypeAlias = Float16[np.ndarray, "n ah aw c"]
Augment: TypeAlias = Callable[[Views, int], Views]
Trunk: TypeAlias = Callable[[Views], Float32[np.ndarray, "b ah aw c"]]
Pictures: TypeAlias = Callable[[Int[np.ndarray, " b"]], Views]

_BLOCK = 32


@dataclass(frozen=True, slots=True)
class CachedFeatures:
    """Where the activations of one view of one set lie.

    Attributes:
        folder: The cache.
        key: Everything the numbers depend on: scans, recipe, weights, augmentation, seed, view.
        shape: Of one scan's activations ``(ah, aw, c)``.
    """

    folder: Path
    key: tuple[str | int, ...]
    shape: tuple[int, int, int]

    @property
    def _stem(self) -> str:
        return "activations-" + hashlib.sha256(json.dumps(self.key).encode()).hexdigest()[:20]

    @property
    def arrays(self) -> Path:
        """The file of the activations themselves."""
        return self.folder / f"{self._stem}.npy"

    @property
    def done(self) -> Path:
        """The file that says which scans' activations are there."""
        return self.folder / f"{self._stem}.done"


def grey_pictures(inputs: InputBatch) -> tuple[int, Pictures]:
    """Give scans ``(n, h, w)`` in the form that ``cache_features`` takes."""
    return len(inputs), lambda rows: inputs[rows].astype(np.float32)[..., np.newaxis]


def cache_features(
    shelf: CachedFeatures,
    pictures: tuple[int, Pictures],
    rows: Int[np.ndarray, " m"],
    look: Augment,
    trunk: Trunk,
    progress: Progress,
) -> FrozenFeatures:
    """Compute the activations of some scans that are not on the shelf yet.

    Interrupted, it goes on with the blocks that are missing. A block is always the same scans in the same order, so
    a random view of a scan never depends on which scans were asked for.

    Args:
        shelf: Where to keep them.
        pictures: How many there are, and what gives some of them ``(b, h, w, c)``.
        rows: Which of them are wanted.
        look: Makes a block's view; it is told the block's number to draw from.
        trunk: The frozen part of the network.
        progress: Hears how many of the wanted scans are done.

    Returns:
        Activations ``(n, ah, aw, c)`` on the disk; rows that were never asked for are zero.

    Raises:
        ResourceError: The disk is full.
    """
    shelf.folder.mkdir(parents=True, exist_ok=True)
    count, give = pictures
    with full_disk_error(shelf.arrays):
        arrays, done = _open(shelf, count)
        wanted = np.zeros(count, bool)
        wanted[rows] = True
        for block in range(0, count, _BLOCK):
            missing = (wanted & ~done)[block : block + _BLOCK]
            if missing.any():
                views = look(give(np.arange(block, min(block + _BLOCK, count))), block // _BLOCK)
                places = block + np.flatnonzero(missing)
                arrays[places] = trunk(views[missing])
                done[places] = True
            if (block // _BLOCK) % _BLOCK == _BLOCK - 1:
                _settle(shelf, arrays, done)
            progress("computing activations", int((wanted & done).sum()), len(rows))
        _settle(shelf, arrays, done)
    return arrays


def _open(shelf: CachedFeatures, count: int) -> tuple[np.memmap, Bool[np.ndarray, " n"]]:
    shape = (count, *shelf.shape)
    done = np.zeros(count, bool)
    if shelf.arrays.exists() and shelf.done.exists():
        arrays: np.memmap = np.lib.format.open_memmap(shelf.arrays, mode="r+")
        flags = np.frombuffer(shelf.done.read_bytes(), "S1") == b"1"
        if arrays.shape == shape and len(flags) == count:
            return arrays, flags.copy()
    _refuse_what_does_not_fit(shelf, int(np.prod(shape)) * 2)
    return np.lib.format.open_memmap(shelf.arrays, mode="w+", dtype=np.float16, shape=shape), done


def _refuse_what_does_not_fit(shelf: CachedFeatures, needed: int) -> None:
    # A memory-mapped file that outgrows its disk kills the process, so room is asked for before.
    free = shutil.disk_usage(shelf.folder).free
    if free < needed + (64 << 20):
        msg = (
            f"{shelf.folder}: activations need {needed >> 20} MiB and the disk has {free >> 20} MiB left; "
            "free some space, set data.cache to another disk, or lower train.quick.views"
        )
        raise ResourceError(msg)


def _settle(shelf: CachedFeatures, arrays: np.memmap, done: Bool[np.ndarray, " n"]) -> None:
    arrays.flush()
    write_text(shelf.done, "".join("1" if flag else "0" for flag in done))
