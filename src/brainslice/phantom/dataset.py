"""A folder of drawn heads, laid out like the data set people download, with its faults planted on purpose."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from brainslice.arrays import Mask
from brainslice.errors import UsageError
from brainslice.files import atomic_folder, write_json, write_text
from brainslice.phantom.draw import KINDS, Phantom, draw_phantom
from brainslice.progress import Progress, silent

FEWEST_PATIENTS: Final = 4
"""With fewer there is nobody left for one of the sides of the split."""

FEWEST_SLICES: Final = 2
"""With fewer no patient can stand on both sides of the split."""

_FOLDERS: Final = dict(zip(KINDS, ("glioma", "meningioma", "notumor", "pituitary"), strict=True))
_JPEG_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class _Page:
    """One slice of the set and where it goes."""

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
    """Draw a whole data set: ``Training`` and ``Testing`` with a folder a class, lesion masks, and its faults.

    Like the sets people download, this one leaks: some patients have slices on both sides, and for each class three
    test pictures are copies of training pictures, one byte for byte, one mirrored, one encoded again as JPEG.
    ``groups.csv`` says which pictures show the same patient; ``masks`` holds the outlines by the pictures' names;
    ``dataset.json`` names the set. The folder is replaced whole or not at all.

    Args:
        folder: Where the set goes.
        patients_per_class: Heads of each kind; the last quarter is for testing.
        slices: Slices of each head.
        seed: Another seed gives other heads.
        progress: Hears of each picture written.

    Raises:
        UsageError: Too few patients or slices to make the two sides of a split.
        ResourceError: The disk is full.
    """
    if patients_per_class < FEWEST_PATIENTS or slices < FEWEST_SLICES:
        msg = (
            f"a phantom set must have {FEWEST_PATIENTS} patients a class and {FEWEST_SLICES} slices or more, "
            f"got {patients_per_class} and {slices}"
        )
        raise UsageError(msg)
    pages = list(_pages(patients_per_class, slices))
    with atomic_folder(folder) as staging:
        lines = ["path,group"]
        for done, page in enumerate(pages, start=1):
            phantom = draw_phantom(page.kind, page.patient, page.slice_number, seed)
            written = [_write_page(staging, page, phantom), *_plant_copy(staging, page, phantom, slices)]
            group = KINDS.index(page.kind) * patients_per_class + page.patient
            lines += [f"{name},{group}" for name in written]
            progress("drawing heads", done, len(pages))
        write_text(staging / "groups.csv", "\n".join(lines) + "\n")
        write_json(staging / "dataset.json", {"name": "phantom"})


def _pages(patients: int, slices: int) -> Iterator[_Page]:
    """Share out the slices: first quarters train, the last quarter tests, and half of that quarter does both."""
    testers = patients // 4
    first_tester, first_pure = patients - testers, patients - testers // 2
    for kind in KINDS:
        for patient in range(patients):
            for number in range(slices):
                straddling = first_tester <= patient < first_pure
                testing = patient >= first_pure or (straddling and number >= slices // 2)
                yield _Page(kind, patient, number, testing)


def _write_page(root: Path, page: _Page, phantom: Phantom) -> str:
    _write_mask(root, page.stem, phantom.mask)
    return _write(root, f"{page.folder}/{page.stem}.png", _encoded(phantom.pixels, "PNG"))


def _plant_copy(root: Path, page: _Page, phantom: Phantom, slices: int) -> list[str]:
    """Let the last slice of each of the first three patients turn up among the test pictures."""
    if page.patient > 2 or page.slice_number != slices - 1:  # noqa: PLR2004 - three ways to copy
        return []
    stem = f"{_FOLDERS[page.kind]}_9{page.patient:02d}_{page.slice_number:02d}"
    ending, data, mask = (
        ("png", _encoded(phantom.pixels, "PNG"), phantom.mask),
        ("png", _encoded(phantom.pixels[:, ::-1], "PNG"), phantom.mask[:, ::-1]),
        ("jpg", _encoded(phantom.pixels, "JPEG"), phantom.mask),
    )[page.patient]
    _write_mask(root, stem, mask)
    return [_write(root, f"Testing/{_FOLDERS[page.kind]}/{stem}.{ending}", data)]


def _write_mask(root: Path, stem: str, mask: Mask) -> None:
    if mask.any():
        _write(root, f"masks/{stem}.png", _encoded(mask.astype(np.uint8) * np.uint8(255), "PNG"))


def _write(root: Path, name: str, data: bytes) -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def _encoded(pixels: UInt8[np.ndarray, "h w"], encoding: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, encoding, quality=_JPEG_QUALITY)
    return buffer.getvalue()
