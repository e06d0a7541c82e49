"""Training images: scans, masks of their lesions, and counterfactual images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Bool, Float32, Int, UInt8
from brainslice.arrays import InputBatch, Labels
from brainslice.config import LesionConfig
from brainslice.counterfactual import Counterfactual, OutlinedScans, make_counterfactuals
from brainslice.files import atomic_file
from brainslice.progress import Progress

Rows: TypeAlias = Int[np.ndarray, " _"]

_VERSION: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class TrainingImages:
    """Network inputs of all scans, followed by counterfactual images.

    Attributes:
        inputs: The scans of the set ``(n, size, size)``.
        extra: Counterfactual images ``(m, size, size)``.
        outlines: Lesion masks of all ``n + m``, as packed bits; None without position-wise supervision.
        labels: Classes of all ``n + m``.
        known: For which of them the class of every position is known: healthy ones, and tumours with a mask.
        rows: Which of them train.
        digest: Digest of the counterfactual images.
    """

    inputs: InputBatch
    extra: UInt8[np.ndarray, "m h w"]
    outlines: UInt8[np.ndarray, "all h w8"] | None
    labels: Int[np.ndarray, " all"]
    known: Bool[np.ndarray, " all"]
    rows: Rows
    digest: str = ""

    @classmethod
    def plain(cls, inputs: InputBatch, labels: Labels, rows: Rows) -> TrainingImages:
        """Make training images of the scans only, without masks."""
        return cls(inputs, inputs[:0], None, labels, np.zeros(len(labels), np.bool_), rows)

    def __len__(self) -> int:
        """Return the number of all images."""
        return len(self.inputs) + len(self.extra)

    def batch(self, rows: Rows) -> Float32[np.ndarray, "b h w channels"]:
        """Return some images, 0 to 255, and with outlines their masks as a second channel, 0 or 255."""
        count = len(self.inputs)
        grey = [self.inputs[row] if row < count else self.extra[row - count] for row in rows.tolist()]
        channels = [np.stack(grey).astype(np.float32)]
        if self.outlines is not None:
            channels.append(np.unpackbits(self.outlines[rows], axis=-1).astype(np.float32) * 255)
        return np.stack(channels, axis=-1)


def add_counterfactuals(
    scans: OutlinedScans, settings: LesionConfig, seed: int, cache: Path, progress: Progress
) -> TrainingImages:
    """Add mirror twins and patched images, made from training scans only, and cache them."""
    key = hashlib.sha256(
        repr((_VERSION, settings.twins, settings.patches, settings.contrast, seed, scans.healthy)).encode()
    )
    for array in (scans.train, scans.labels, scans.outlines[scans.train], scans.inputs[scans.train]):
        key.update(np.ascontiguousarray(array).tobytes())
    path = cache / f"counterfactuals-{key.hexdigest()[:20]}.npz"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _save(path, make_counterfactuals(scans, settings, seed, progress), scans.inputs.shape[1])
    with np.load(path, allow_pickle=False) as stored:
        extra, outlines, labels = stored["pictures"], stored["outlines"], stored["labels"]
    count = len(scans.labels)
    known = scans.outlined | (scans.labels == scans.healthy)
    return TrainingImages(
        inputs=scans.inputs,
        extra=extra,
        outlines=np.concatenate([scans.outlines, outlines]),
        labels=np.concatenate([scans.labels, labels]),
        known=np.concatenate([known, np.ones(len(labels), np.bool_)]),
        rows=np.concatenate([scans.train, np.arange(count, count + len(labels))]),
        digest=key.hexdigest(),
    )


def _save(path: Path, made: list[Counterfactual], size: int) -> None:
    pictures = np.array([each.picture for each in made], np.uint8).reshape(-1, size, size)
    lesions = np.array([each.lesion for each in made], np.bool_).reshape(-1, size, size)
    labels = np.array([each.label for each in made], np.int64)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, pictures=pictures, outlines=np.packbits(lesions, axis=-1), labels=labels)
