"""How much the leakage audit finds, and how much of what it joins does not belong together.

Usage: python benchmarks/audit_accuracy.py FOLDER TABLE

FOLDER is the Nickparvar set, TABLE its table of groups: a CSV with the columns path, group, patient_known, mask and
mirrored. Files with one mask are one picture; files of two groups with known patients are two patients, however alike.
Both are told for the two halves of the groups apart, because the audit's thresholds were chosen on the first. Then
known copies are made of pictures in the second half, cropped, scaled and encoded again, and looked for among all
others. Wall time and memory are those of the audit alone.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from brainslice.dataset import AuditReport, DuplicatePair, audit_folder, compute_fingerprint, find_duplicates
from brainslice.scan import Slice, read_scan

Row = dict[str, str]
Change = Callable[[Image.Image, random.Random], Image.Image]
COPIES_EACH = 60


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the picture at ``place``, made by ``change``."""

    change: str
    place: int
    image: Image.Image


def main() -> None:
    """Audit the folder, and tell how well that went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", type=Path)
    chosen = parser.parse_args()
    with chosen.table.open(encoding="utf-8", newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    start = time.perf_counter()
    report = audit_folder(chosen.folder)
    print(f"audit of {len(report.files):,} files: {time.perf_counter() - start:.0f} s wall{memory()}")
    print(*report.summary_lines(), sep="\n")
    known = [rows[file.path] for file in report.files]
    for half in (0, 1):
        print(f"\n{'second half of the groups (held out)' if half else 'first half of the groups (used for choosing)'}")
        print(*(f"  {line}" for line in same_pictures(report, known, half)), sep="\n")
        print(*(f"  {line}" for line in wrong_groups(report, known, half)), sep="\n")
    print("\ngroups of the table that the audit joins, with the pair most alike")
    print(*(f"  {line}" for line in joined_groups(report, known)), sep="\n")
    print("\ncopies made of pictures in the second half, and looked for among all files")
    print(*(f"  {line}" for line in made_copies(chosen.folder, known)), sep="\n")


def half_of(row: Row) -> int:
    """Tell the half of the groups that a file belongs to, 0 or 1."""
    return int(row["group"].lstrip("G")) % 2


def same_pictures(report: AuditReport, known: Sequence[Row], half: int) -> list[str]:
    """Count the pairs of files with one mask that the audit brings together."""
    by_mask = defaultdict(list)
    for place, row in enumerate(known):
        if row["mask"] and half_of(row) == half:
            by_mask[row["mask"]].append(place)
    pairs = [pair for places in by_mask.values() for pair in combinations(places, 2)]
    correlations = {(twin.first, twin.second): twin.correlation for twin in report.duplicates}
    grouped = sum(report.groups[one] == report.groups[other] for one, other in pairs)
    direct = [correlations[pair] for pair in pairs if pair in correlations]
    mirrored = sum(known[one]["mirrored"] != known[other]["mirrored"] for one, other in pairs)
    return [
        f"same picture (one mask): {len(pairs):,} pairs, {mirrored:,} of them mirrored",
        f"  in one group {grouped / len(pairs):.2%}; lowest correlation of those laid on each other {min(direct):.3f}",
    ]


def wrong_groups(report: AuditReport, known: Sequence[Row], half: int) -> list[str]:
    """Count the groups in which the audit joins what the table keeps apart."""
    families = [family for family in report.duplicate_groups if half_of(known[family[0]]) == half]
    patients = [family for family in families if all(known[place]["patient_known"] == "1" for place in family)]
    mixed = [family for family in families if len({known[place]["group"] for place in family}) > 1]
    wrong = [family for family in patients if len({known[place]["group"] for place in family}) > 1]
    share = f"{len(mixed):,} ({len(mixed) / len(families):.2%})"
    return [
        f"groups of several files: {len(families):,}; joining groups of the table: {share}",
        f"  of {len(patients):,} groups of known patients: {len(wrong):,} join two patients",
    ]


def joined_groups(report: AuditReport, known: Sequence[Row]) -> list[str]:
    """List the groups of the table that the audit joins, each with the pair most alike."""
    best: dict[tuple[str, str], DuplicatePair] = {}
    for twin in report.duplicates:
        one, other = sorted((known[twin.first]["group"], known[twin.second]["group"]))
        if one != other and twin.correlation > (best[one, other].correlation if (one, other) in best else 0):
            best[one, other] = twin
    return [
        f"{one} {other}: {twin.kind.value}, {twin.correlation:.3f}: "
        f"{report.files[twin.first].path} and {report.files[twin.second].path}"
        for (one, other), twin in sorted(best.items())
    ]


def made_copies(folder: Path, known: Sequence[Row]) -> list[str]:
    """Count the copies, made in every way there is, that are found among all files."""
    copies = draw_copies(folder, known)
    hits: dict[str, list[bool]] = defaultdict(list)
    for copy, found in zip(copies, found_by_audit(folder, known, copies), strict=True):
        hits[copy.change].append(found)
    return [f"{name:24} {sum(each):3} of {len(each)} found" for name, each in hits.items()]


def draw_copies(folder: Path, known: Sequence[Row]) -> list[Copy]:
    """Make copies of pictures in the second half, ``COPIES_EACH`` in each way."""
    chance = random.Random(5)  # noqa: S311 - a draw, not a secret
    second_half = [place for place, row in enumerate(known) if half_of(row) == 1]
    drawn = [(name, place) for name in CHANGES for place in chance.sample(second_half, COPIES_EACH)]
    return [Copy(name, place, CHANGES[name](grey(folder / known[place]["path"]), chance)) for name, place in drawn]


def found_by_audit(folder: Path, known: Sequence[Row], copies: Sequence[Copy]) -> list[bool]:
    """Tell of each copy whether the audit pairs it with the picture it was made of."""
    originals = [compute_fingerprint(read_scan(folder / row["path"])) for row in known]
    names = [f"copy {number}" for number in range(len(copies))]
    made = [
        compute_fingerprint(Slice(np.array(copy.image, dtype=np.float32), name))
        for copy, name in zip(copies, names, strict=True)
    ]
    pairs = {(twin.first, twin.second - len(originals)) for twin in find_duplicates(originals, against=made)}
    # Of several equal files only the first is compared.
    first_with: dict[str, int] = {}
    for place, original in enumerate(originals):
        first_with.setdefault(original.pixel_hash, place)
    firsts = [first_with[originals[copy.place].pixel_hash] for copy in copies]
    return [(first, number) in pairs for number, first in enumerate(firsts)]


def grey(path: Path) -> Image.Image:
    """Open a file as a grey picture."""
    with Image.open(path) as image:
        return image.convert("L")


def encoded(image: Image.Image, quality: int) -> Image.Image:
    """Encode a picture as JPEG, and decode it."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue())).convert("L")


def cropped(image: Image.Image, chance: random.Random, most: float) -> Image.Image:
    """Cut up to a share off each side."""
    left, top, right, bottom = (chance.uniform(0, most) for _ in range(4))
    wide, high = image.size
    return image.crop((int(wide * left), int(high * top), int(wide * (1 - right)), int(high * (1 - bottom))))


CHANGES: dict[str, Change] = {
    "JPEG, quality 30": lambda image, _: encoded(image, 30),
    "half the size": lambda image, _: image.resize((image.width // 2, image.height // 2)),
    "a quarter of the size": lambda image, _: image.resize((image.width // 4, image.height // 4)),
    "squeezed into a square": lambda image, _: image.resize((224, 224)),
    "margins added": lambda image, _: ImageOps.expand(image, (40, 10, 5, 60)),
    "gamma 0.7": lambda image, _: image.point([round(255 * (value / 255) ** 0.7) for value in range(256)]),
    "cropped by up to 5 %": lambda image, chance: cropped(image, chance, 0.05),
    "cropped by up to 10 %": lambda image, chance: cropped(image, chance, 0.10),
    "cropped by up to 15 %": lambda image, chance: cropped(image, chance, 0.15),
    "mirrored, cropped, JPEG": lambda image, chance: encoded(ImageOps.mirror(cropped(image, chance, 0.10)), 60),
    "turned by 180 degrees": lambda image, _: image.rotate(180),
    "rotated by 5 degrees": lambda image, _: image.rotate(5, Image.Resampling.BICUBIC),
    "rotated by 10 degrees": lambda image, _: image.rotate(10, Image.Resampling.BICUBIC),
}


def memory() -> str:
    """Say how much memory this process has needed at most, where the system tells."""
    if sys.platform == "win32":
        return ""
    import resource

    # Linux counts in kilobytes, macOS in bytes.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return f", {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.0f} MB at most"


if __name__ == "__main__":
    main()
