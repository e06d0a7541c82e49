"""Recognition of the known public data set, with its groups, folds and masks."""

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
_MIN_RECOGNISED: Final = 0.95
_SIDE: Final = 32
_FREQUENCIES: Final = 8
_MAX_DISTANCE: Final = 8
"""Maximum distance of perceptual hashes of one image: re-encoded or rescaled, 6 bits; of two heads, about 27."""


@dataclass(frozen=True, slots=True)
class KnownScan:
    """The table's entry of a scan.

    Attributes:
        name: The file name without its suffix.
        group: The group: a patient, or the copies of an image.
        fold: The fold of the clean protocol, 0 to 4.
        patient_known: Whether the group is a patient.
        mask: The file of the tumour mask, or empty.
        mirrored: Whether the mask has to be flipped left to right.
        perceptual_hash: The 64-bit perceptual hash.
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
    image = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small = np.asarray(image, dtype=np.float64)
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
    """Recognise the known set, or a part of it.

    Args:
        scans: Path or name, and perceptual hash, of each file.

    Returns:
        The entry of each file, None for files with another name or image; None instead of a tuple where fewer than
        95 % are known.
    """
    table = known_scans()
    found = []
    for name, hash_ in scans:
        known = table.get(_stem(name))
        same_image = known is not None and (known.perceptual_hash ^ hash_).bit_count() <= _MAX_DISTANCE
        found.append(known if same_image else None)
    recognised = sum(known is not None for known in found)
    return tuple(found) if scans and recognised >= _MIN_RECOGNISED * len(scans) else None


def find_masks(folder: Path, name: str, sources: Iterable[str]) -> Path | None:
    """Find a folder of tumour outlines in a source folder, or beside it.

    Args:
        folder: The folder of the class folders or split folders.
        name: The name of the set.
        sources: The scans' paths or names.

    Returns:
        The first of ``masks``, ``tumour_masks`` and ``../tumour_masks`` with a mask of a scan.
    """
    wanted = {file for source in sources for file, _ in [_mask_name(name, source)] if file}
    for candidate in (folder / "masks", folder / "tumour_masks", folder.parent / "tumour_masks"):
        if candidate.is_dir() and not wanted.isdisjoint(path.name for path in candidate.iterdir()):
            return candidate.resolve()
    return None


def find_mask(manifest: Manifest, record: Record) -> tuple[Path, bool] | None:
    """Find the outline of the tumour on a scan.

    Returns:
        The mask file and whether it has to be flipped left to right; None where there is no mask.
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
