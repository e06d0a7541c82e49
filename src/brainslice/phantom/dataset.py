"""Write data sets of phantoms: one with the layout and leaks of the public data set, and one of an external site."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from brainslice.array_types import UInt8
from brainslice.arrays import Mask
from brainslice.errors import UsageError
from brainslice.files import atomic_folder, write_json, write_text
from brainslice.phantom.draw import KINDS, Phantom, draw_phantom
from brainslice.progress import Progress, silent

MIN_PATIENTS: Final = 4
"""The minimum number of patients for a split."""

MIN_SLICES: Final = 2
"""The minimum number of slices, so that a patient can be on both sides of the split."""

MIN_HEADS: Final = 6
"""The minimum number of heads of each kind, for three folds with tuning."""

_FOLDERS: Final = dict(zip(KINDS, ("glioma", "meningioma", "notumor", "pituitary"), strict=True))
_JPEG_QUALITY: Final = 85
_SITE_JPEG_QUALITY: Final = 75
_SITE_SEED_OFFSET: Final = 100_003


@dataclass(frozen=True, slots=True)
class _SliceFile:
    """A slice of the set and its file."""

    kind: str
    patient: int
    slice_number: int
    testing: bool

    @property
    def stem(self) -> str:
        return f"{_FOLDERS[self.kind]}_{self.patient:03d}_{self.slice_number:02d}"

    @property
    def folder(self) -> str:
        return f"{'Testing' if self.testing else 'Training'}/{_FOLDERS[self.kind]}"


def write_phantoms(
    folder: Path, patients_per_class: int = 24, slices: int = 4, seed: int = 7, progress: Progress = silent
) -> None:
    """Write a data set: ``Training`` and ``Testing`` with a folder for each class, and lesion masks.

    Like public sets, it leaks: some patients have slices on both sides, and for each class three test images are
    copies of training images: one identical, one mirrored, one recompressed as JPEG. ``groups.csv`` holds the patient
    of each image, ``masks`` the lesion masks, ``dataset.json`` the name of the set. The folder is replaced atomically.

    Args:
        folder: The folder to write.
        patients_per_class: Heads of each kind; the last quarter is for testing.
        slices: Slices of each head.
        seed: Seed of the heads.
        progress: Called for each image.

    Raises:
        UsageError: Too few patients or slices for a split.
        ResourceError: The disk is full.
    """
    if patients_per_class < MIN_PATIENTS or slices < MIN_SLICES:
        msg = (
            f"a phantom set must have {MIN_PATIENTS} patients a class and {MIN_SLICES} slices or more, "
            f"got {patients_per_class} and {slices}"
        )
        raise UsageError(msg)
    files = list(_list_files(patients_per_class, slices))
    with atomic_folder(folder) as staging:
        lines = ["path,group"]
        for done, file in enumerate(files, start=1):
            phantom = draw_phantom(file.kind, file.patient, file.slice_number, seed)
            written = [_write_slice(staging, file, phantom), *_plant_copy(staging, file, phantom, slices)]
            group = KINDS.index(file.kind) * patients_per_class + file.patient
            lines += [f"{name},{group}" for name in written]
            progress("drawing heads", done, len(files))
        write_text(staging / "groups.csv", "\n".join(lines) + "\n")
        write_json(staging / "dataset.json", {"name": "phantom"}, "phantom")


def _list_files(patients: int, slices: int) -> Iterator[_SliceFile]:
    """Assign slices: three quarters train, the last quarter tests, and half of that quarter is on both sides."""
    testing_patients = patients // 4
    first_testing, first_pure = patients - testing_patients, patients - testing_patients // 2
    for kind in KINDS:
        for patient in range(patients):
            for number in range(slices):
                both_sides = first_testing <= patient < first_pure
                testing = patient >= first_pure or (both_sides and number >= slices // 2)
                yield _SliceFile(kind, patient, number, testing)


def _write_slice(root: Path, file: _SliceFile, phantom: Phantom) -> str:
    _write_mask(root, file.stem, phantom.mask)
    return _write(root, f"{file.folder}/{file.stem}.png", _encode(phantom.pixels, "PNG"))


def _plant_copy(root: Path, file: _SliceFile, phantom: Phantom, slices: int) -> list[str]:
    """Copy the last slice of each of the first three patients to the test images."""
    if file.patient > 2 or file.slice_number != slices - 1:  # noqa: PLR2004 - three ways to copy
        return []
    stem = f"{_FOLDERS[file.kind]}_9{file.patient:02d}_{file.slice_number:02d}"
    ending, data, mask = (
        ("png", _encode(phantom.pixels, "PNG"), phantom.mask),
        ("png", _encode(phantom.pixels[:, ::-1], "PNG"), phantom.mask[:, ::-1]),
        ("jpg", _encode(phantom.pixels, "JPEG"), phantom.mask),
    )[file.patient]
    _write_mask(root, stem, mask)
    return [_write(root, f"Testing/{_FOLDERS[file.kind]}/{stem}.{ending}", data)]


def _write_mask(root: Path, stem: str, mask: Mask) -> None:
    if mask.any():
        _write(root, f"masks/{stem}.png", _encode(mask.astype(np.uint8) * np.uint8(255), "PNG"))


def _write(root: Path, name: str, data: bytes) -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def _encode(pixels: UInt8[np.ndarray, "h w"], encoding: str, quality: int = _JPEG_QUALITY) -> bytes:
    buffer = io.BytesIO()
    # Noise compresses no better with zlib's other strategies, which take twice the time.
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, encoding, quality=quality, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def write_external_site(
    folder: Path, heads_per_kind: int = 24, slices: int = 2, seed: int = 7, progress: Progress = silent
) -> None:
    """Write a set of another scanner, with the folders ``yes`` and ``no``.

    Its heads differ from those of ``write_phantoms``; contrast is lower, noise stronger, resolution lower, and there is
    a wide dark margin that is not black. The folder is replaced atomically.

    Args:
        folder: The folder to write.
        heads_per_kind: Number of healthy heads, and of heads with a tumour of alternating type.
        slices: Slices of each head.
        seed: Seed of the heads.
        progress: Called for each image.

    Raises:
        UsageError: Too few heads, or no slices.
        ResourceError: The disk is full.
    """
    if heads_per_kind < MIN_HEADS or slices < 1:
        msg = f"a drawn site must have {MIN_HEADS} heads a kind and a slice each, got {heads_per_kind} and {slices}"
        raise UsageError(msg)
    tumours = [kind for kind in KINDS if kind != "no_tumor"]
    with atomic_folder(folder) as staging:
        done = 0
        for label, kinds in (("yes", tumours), ("no", ["no_tumor"])):
            (staging / label).mkdir()
            for head in range(heads_per_kind):
                for number in range(slices):
                    drawn = draw_phantom(kinds[head % len(kinds)], head, number, seed + _SITE_SEED_OFFSET)
                    scanned = _rescan(drawn.pixels, np.random.default_rng((seed, head, number, len(kinds))))
                    (staging / label / f"{label}_{head:03d}_{number:02d}.jpg").write_bytes(
                        _encode(scanned, "JPEG", _SITE_JPEG_QUALITY)
                    )
                    done += 1
                    progress("drawing another site's heads", done, 2 * heads_per_kind * slices)


def _rescan(pixels: UInt8[np.ndarray, "h w"], rng: np.random.Generator) -> UInt8[np.ndarray, "h2 w2"]:
    """Imitate an older scanner: lower resolution and contrast, more noise, and a grey margin."""
    rows, columns = pixels.shape
    coarse = Image.fromarray(pixels).resize((columns * 2 // 3, rows * 2 // 3), Image.Resampling.BILINEAR)
    grey = np.asarray(coarse, np.float32) / 255
    flat = 0.75 * grey**0.6
    real, imaginary = rng.normal(scale=0.05, size=(2, *flat.shape))
    noisy = np.hypot(flat + real, imaginary)
    margin = round(0.12 * max(noisy.shape))
    framed = np.pad(noisy, ((margin, margin), (2 * margin, 2 * margin)), constant_values=0.04)
    return np.asarray(np.clip(255 * framed, 0, 255), np.uint8)
