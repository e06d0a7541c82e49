"""Cache of activations at the cut, computed once for every view of every scan.

The layers below the cut, their BatchNorm included, never change in the recipe ``quick``: training above the cut on
these arrays equals training the whole network with frozen layers, up to the half precision of the arrays.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np

from brainslice.array_types import Bool, Float16, Float32, Int
from brainslice.arrays import InputBatch
from brainslice.errors import ResourceError
from brainslice.files import clear_leftovers, full_disk_error, write_text
from brainslice.inference import OnnxSession
from brainslice.lock import exclusive_lock
from brainslice.models import AugmentationConfig, Network, augmentation_layers, export_frozen_part, reseed
from brainslice.progress import Progress

Views: TypeAlias = Float32[np.ndarray, "b h w channels"]
FrozenFeatures: TypeAlias = Float16[np.ndarray, "n ah aw c"]
Augment: TypeAlias = Callable[[Views, int], Views]
FrozenPart: TypeAlias = Callable[[Views], Float32[np.ndarray, "b ah aw c"]]
Images: TypeAlias = Callable[[Int[np.ndarray, " b"]], Views]

_BLOCK = 32
_MIN_FOR_EXPORT = 1000


@dataclass(frozen=True, slots=True)
class CachedFeatures:
    """Files of the activations of one view of one set.

    Attributes:
        folder: The cache.
        key: Everything the activations depend on: scans, recipe, weights, augmentation, seed, view.
        shape: Shape of one scan's activations ``(ah, aw, c)``.
    """

    folder: Path
    key: tuple[str | int, ...]
    shape: tuple[int, int, int]

    @property
    def _stem(self) -> str:
        return "activations-" + hashlib.sha256(json.dumps(self.key).encode()).hexdigest()[:20]

    @property
    def arrays(self) -> Path:
        """The file of the activations."""
        return self.folder / f"{self._stem}.npy"

    @property
    def done(self) -> Path:
        """The file of flags of the scans whose activations are computed."""
        return self.folder / f"{self._stem}.done"

    @property
    def lock(self) -> Path:
        """The lock of both files."""
        return self.folder / f".{self._stem}.lock"


def grey_images(inputs: InputBatch) -> tuple[int, Images]:
    """Return scans ``(n, h, w)`` in the form that ``cache_features`` takes."""
    return len(inputs), lambda rows: inputs[rows].astype(np.float32)[..., np.newaxis]


def cache_features(
    cached: CachedFeatures,
    images: tuple[int, Images],
    rows: Int[np.ndarray, " m"],
    augment: Augment,
    frozen_part: FrozenPart,
    progress: Progress,
) -> FrozenFeatures:
    """Compute the activations of some scans that are not in the cache yet.

    An interrupted run resumes with the missing blocks. A block is always the same scans in the same order, so the
    random view of a scan does not depend on the requested rows.

    Args:
        cached: The files.
        images: Number of images, and a function that returns some of them ``(b, h, w, c)``.
        rows: The requested rows.
        augment: Makes a block's view; its second argument is the block's number.
        frozen_part: The frozen part of the network.
        progress: Called with the step and how far it is.

    Returns:
        Memory-mapped activations ``(n, ah, aw, c)``; rows that were never requested are zero.

    Raises:
        ResourceError: The disk is full.
    """
    cached.folder.mkdir(parents=True, exist_ok=True)
    count, read = images
    # Trainings of other folds, in processes of their own, use the same files.
    with full_disk_error(cached.arrays), exclusive_lock(cached.lock, "computing activations", wait=True):
        clear_leftovers(cached.folder, cached.done.stem)
        arrays, done = _open(cached, count)
        wanted = np.zeros(count, bool)
        wanted[rows] = True
        for block in range(0, count, _BLOCK):
            missing = (wanted & ~done)[block : block + _BLOCK]
            if missing.any():
                views = augment(read(np.arange(block, min(block + _BLOCK, count))), block // _BLOCK)
                indices = block + np.flatnonzero(missing)
                arrays[indices] = frozen_part(views[missing])
                done[indices] = True
            if (block // _BLOCK) % _BLOCK == _BLOCK - 1:
                _flush(cached, arrays, done)
            progress("computing activations", int((wanted & done).sum()), len(rows))
        _flush(cached, arrays, done)
    return arrays


@dataclass(frozen=True, slots=True)
class RandomViews:
    """Settings of augmented views.

    Attributes:
        count: Number of views of each scan.
        config: The augmentation.
        seed: Seed of the augmentation, together with the number of the view.
    """

    count: int
    config: AugmentationConfig
    seed: int


def cache_views(
    cached: CachedFeatures,
    images: tuple[int, Images],
    rows: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " v"]],
    views: RandomViews,
    frozen_part: FrozenPart,
    progress: Progress,
) -> tuple[FrozenFeatures, ...]:
    """Compute the activations of ``rows[0]`` of the scans, and of ``rows[1]`` of each of their random views."""
    layers = augmentation_layers(views.config, views.seed)
    arrays = [cache_features(cached, images, rows[0], lambda scans, _: scans, frozen_part, progress)]
    for number in range(1, views.count + 1):

        def augment(scans: Views, block: int, number: int = number) -> Views:
            reseed(layers, (views.seed, number, block))
            return np.asarray(layers(scans, training=True))

        files = replace(cached, key=(*cached.key, views.seed, number, repr(views.config)))
        arrays.append(cache_features(files, images, rows[1], augment, frozen_part, progress))
    return tuple(arrays)


def _open(cached: CachedFeatures, count: int) -> tuple[np.memmap, Bool[np.ndarray, " n"]]:
    shape = (count, *cached.shape)
    done = np.zeros(count, bool)
    if cached.arrays.exists() and cached.done.exists():
        arrays: np.memmap = np.lib.format.open_memmap(cached.arrays, mode="r+")
        flags = np.frombuffer(cached.done.read_bytes(), "S1") == b"1"
        if arrays.shape == shape and len(flags) == count:
            return arrays, flags.copy()
    needed, free = int(np.prod(shape)) * 2, shutil.disk_usage(cached.folder).free
    # A memory-mapped file that outgrows its disk kills the process, so the space is checked before.
    if free < needed + (64 << 20):
        msg = (
            f"{cached.folder}: activations need {needed >> 20} MiB and the disk has {free >> 20} MiB left; "
            "free some space, set data.cache to another disk, or lower train.quick.views"
        )
        raise ResourceError(msg)
    # Flags of arrays that are gone would count as those of the new, empty ones after a kill.
    cached.done.unlink(missing_ok=True)
    return np.lib.format.open_memmap(cached.arrays, mode="w+", dtype=np.float16, shape=shape), done


def _flush(cached: CachedFeatures, arrays: np.memmap, done: Bool[np.ndarray, " n"]) -> None:
    arrays.flush()
    write_text(cached.done, "".join("1" if flag else "0" for flag in done))


def fast_frozen_part(network: Network, scratch: Path, images: int) -> FrozenPart:
    """Return the frozen part as a function.

    With TensorFlow it is an ONNX graph, which is about twice as fast on a CPU, unless the export takes longer than it
    saves.

    Args:
        network: The network.
        scratch: A folder for the graph while it is opened.
        images: The number of images that it will be run on.
    """
    if keras.config.backend() != "tensorflow" or images < _MIN_FOR_EXPORT:
        return lambda views: np.asarray(network.frozen_part.predict_on_batch(views))
    # One export at a time, so that what another one left is known to be stale.
    with exclusive_lock(scratch / ".frozen_part.lock", "exporting the frozen part", wait=True):
        clear_leftovers(scratch, "frozen_part")
        with tempfile.TemporaryDirectory(prefix=".frozen_part.tmp-", dir=scratch) as folder:
            path = Path(folder) / "frozen_part.onnx"
            export_frozen_part(network, path)
            graph = OnnxSession(path)
            graph.open_single_threaded()
    return lambda views: graph.run(views)[0]
