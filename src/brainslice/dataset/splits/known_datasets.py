"""The known public data set: recognised by names and images, with groups, folds and masks."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from PIL import Image

from brainslice.arrays import Pixels
from brainslice.dataset.manifest import Manifest, Record

NICKPARVAR: Final = "nickparvar"
TABLE_FOLDS: Final = 5
COLUMNS: Final = (
    "name", "class", "split", "group", "fold", "patient_known", "mask", "mirrored", "fingerprint"
)  # fmt: skip

_TABLE: Final = "nickparvar.csv.gz"
_AGREEMENT: Final = 0.95
_SIDE: Final = 32
_FREQUENCIES: Final = 8
_MOST_BITS: Final = 8
"""Fingerprints of one picture, re-encoded or rescaled, differ in 6 bits at most; of two heads, in some 27."""


@dataclass(frozen=True, slots=True)
class KnownScan:
    """The table's entry of a scan.

    Attributes:
        name: The file's name in the set, without its ending.
        group: Scans that share it show one patient, or are one picture.
        fold: The part of the group-clean protocol, 0 to 4.
        patient_known: Whether the group is a patient; otherwise it is a picture in all its copies.
        mask: The file that holds the tumour's outline, or empty.
        mirrored: Whether the outline has to be flipped left to right first.
        perceptual_hash: What the picture looks like, in 64 bits.
    """

    name: str
    group: str
    fold: int
    patient_known: bool
    mask: str
    mirrored: bool
    perceptual_hash: int


def perceptual_hash(pixels: Pixels) -> int:
    """Compute a 64-bit perceptual hash, robust to re-encoding and rescaling.

    Args:
        pixels: Grey values ``(h, w)``.

    Returns:
        One bit for each of the 64 lowest spatial frequencies: whether it is above their median.

    Reference:
        Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1.
    """
    picture = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small = np.asarray(picture, dtype=np.float64)
    position, frequency = np.arange(_SIDE), np.arange(_FREQUENCIES)[:, None]
    cosines = np.cos(np.pi * (position + 0.5) * frequency / _SIDE)
    spectrum = (cosines @ small @ cosines.T).ravel()
    bits = spectrum > np.median(spectrum)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@lru_cache(maxsize=1)
def known_scans() -> Mapping[str, KnownScan]:
    """Read the shipped table, by casefolded name without suffix."""
    packed = files("brainslice.dataset.splits").joinpath(_TABLE).read_bytes()
    rows = csv.DictReader(io.StringIO(gzip.decompress(packed).decode("utf-8")))
    return {_stem(row["name"]): _known(row) for row in rows}


def known_scan(source: str) -> KnownScan | None:
    """Look up a scan by its path or name; None if it is unknown."""
    return known_scans().get(_stem(source))


def recognise_dataset(scans: Sequence[tuple[str, int]]) -> tuple[KnownScan | None, ...] | None:
    """Return whether files are the known set, or a part of it.

    Args:
        scans: For each file its path or name, and its picture's fingerprint.

    Returns:
        What is known of each file, None for those whose name or picture is another; or None in place of all,
        where fewer than 95 % are known.
    """
    table = known_scans()
    found = []
    for name, print_ in scans:
        known = table.get(_stem(name))
        alike = known is not None and (known.perceptual_hash ^ print_).bit_count() <= _MOST_BITS
        found.append(known if alike else None)
    agreeing = sum(known is not None for known in found)
    return tuple(found) if scans and agreeing >= _AGREEMENT * len(scans) else None


def find_masks(folder: Path, name: str, sources: Iterable[str]) -> Path | None:
    """Find a folder of tumour outlines in a source folder, or beside it.

    Args:
        folder: Where the set's class folders or split folders lie.
        name: What the set is called.
        sources: The scans' paths or names.

    Returns:
        The first of ``masks``, ``tumour_masks`` and ``../tumour_masks`` that holds an outline of some scan.
    """
    wanted = {file for source in sources for file, _ in [_mask_name(name, source)] if file}
    for candidate in (folder / "masks", folder / "tumour_masks", folder.parent / "tumour_masks"):
        if candidate.is_dir() and not wanted.isdisjoint(path.name for path in candidate.iterdir()):
            return candidate.resolve()
    return None


def find_mask(manifest: Manifest, record: Record) -> tuple[Path, bool] | None:
    """Find the outline of the tumour on a scan.

    Returns:
        The mask's file, to be resized to the scan, and whether it has to be flipped left to right first; None
        where no outline is known.
    """
    if manifest.masks is None:
        return None
    file, mirrored = _mask_name(manifest.name, record.source)
    path = Path(manifest.masks) / file
    return (path, mirrored) if file and path.is_file() else None


def _mask_name(name: str, source: str) -> tuple[str, bool]:
    if name != NICKPARVAR:
        return f"{PurePosixPath(source).stem}.png", False
    known = known_scans().get(_stem(source))
    return (known.mask, known.mirrored) if known else ("", False)


def _known(row: dict[str, str]) -> KnownScan:
    return KnownScan(
        name=PurePosixPath(row["name"]).stem,
        group=row["group"],
        fold=int(row["fold"]),
        patient_known=row["patient_known"] == "1",
        mask=row["mask"],
        mirrored=row["mirrored"] == "1",
        perceptual_hash=int(row["fingerprint"], 16),
    )


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.casefold()
