"""The leakage audit against what one would use instead: perceptual hashes of all pictures, compared in pairs.

Usage: python benchmarks/audit_speed.py FOLDER TABLE

FOLDER is the Nickparvar set, TABLE its table of groups: a CSV with the columns path, group, patient_known and mask. The
other side is pHash of the library imagehash, once as its manual shows it and once with every picture's mirror image
hashed as well, under the distances people use. Told are: the share of pairs with one mask (one picture) that end in one
group; groups of several files that join two known patients, and the share of the files with known patients in them; the
share of cropped, scaled, turned and re-encoded copies (of audit_accuracy.py) that are paired with their originals;
wall time until the pairs are known. Ratios carry over to other machines, seconds do not. Needs imagehash and scipy.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
from audit_accuracy import draw_copies, found_by_audit
from PIL import Image, ImageOps
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from brainslice.dataset import audit_folder

Row = dict[str, str]
DISTANCES = (0, 2, 4, 6, 8, 10)


def main() -> None:
    """Run both sides, and tell how well they went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", type=Path)
    chosen = parser.parse_args()
    with chosen.table.open(encoding="utf-8", newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    print(
        f"{'method':36} {'same picture':>12} {'wrong groups':>12} {'files in them':>13} {'made copies':>12} {'wall':>7}"
    )
    start = time.perf_counter()
    report = audit_folder(chosen.folder)
    ours = time.perf_counter() - start
    known = [rows[file.path] for file in report.files]
    copies = draw_copies(chosen.folder, known)
    tell("brainslice audit", known, report.groups, found_by_audit(chosen.folder, known, copies), ours)
    paths = [chosen.folder / file.path for file in report.files]
    start = time.perf_counter()
    plain = hashes(paths, mirrored=False)
    hashing = time.perf_counter() - start
    flipped = hashes(paths, mirrored=True)
    both = time.perf_counter() - start
    made = np.stack([as_numbers(imagehash.phash(copy.image)) for copy in copies])
    originals = [copy.place for copy in copies]
    for mirrors, spent in ((False, hashing), (True, both)):
        for distance in DISTANCES:
            start = time.perf_counter()
            pairs = close(plain, [plain, flipped] if mirrors else [plain], distance)
            wall = spent + time.perf_counter() - start
            name = f"pHash{', mirrored too' if mirrors else ''}, distance <= {distance}"
            apart = (64 - (made * plain[originals]).sum(axis=1)) / 2
            if mirrors:
                apart = np.minimum(apart, (64 - (made * flipped[originals]).sum(axis=1)) / 2)
            tell(name, known, connected(pairs, len(paths)), apart <= distance, wall)
    print(f"wall time of the audit / of pHash with mirror images: {ours / both:.2f}")


def tell(method: str, known: Sequence[Row], groups: np.ndarray, made: Sequence[bool], wall: float) -> None:
    """Print one line of the table."""
    by_mask, families = defaultdict(list), defaultdict(list)
    for place, row in enumerate(known):
        families[int(groups[place])].append(row)
        if row["mask"]:
            by_mask[row["mask"]].append(place)
    pairs = [pair for places in by_mask.values() for pair in combinations(places, 2)]
    together = sum(groups[one] == groups[other] for one, other in pairs)
    patients = [[row["group"] for row in family if row["patient_known"] == "1"] for family in families.values()]
    mixing = [family for family in patients if len(set(family)) > 1]
    share = sum(map(len, mixing)) / max(1, sum(map(len, patients)))
    same, copies = together / len(pairs), np.mean(made)
    print(f"{method:36} {same:12.2%} {len(mixing):12,} {share:13.2%} {copies:12.2%} {wall:6.0f}s", flush=True)


def hashes(paths: Sequence[Path], *, mirrored: bool) -> np.ndarray:
    """Hash every picture; 64 numbers each, -1 or 1."""
    numbers = np.empty((len(paths), 64), dtype=np.float32)
    for place, path in enumerate(paths):
        with Image.open(path) as image:
            numbers[place] = as_numbers(imagehash.phash(ImageOps.mirror(image) if mirrored else image))
    return numbers


def as_numbers(found: imagehash.ImageHash) -> np.ndarray:
    """Turn the bits of a hash into -1 and 1: their products then count equal bits."""
    return found.hash.ravel().astype(np.float32) * 2 - 1


def close(plain: np.ndarray, others: Sequence[np.ndarray], distance: int) -> np.ndarray:
    """List the pairs of pictures whose hashes differ in few bits."""
    found = []
    for other in others:
        for start in range(0, len(plain), 1024):
            apart = (64 - plain[start : start + 1024] @ other.T) / 2
            row, column = np.nonzero(apart <= distance)
            found.append(np.stack([row + start, column]))
    return np.concatenate(found, axis=1)


def connected(pairs: np.ndarray, count: int) -> np.ndarray:
    """Number the groups that pairs connect."""
    edges = coo_matrix((np.ones(pairs.shape[1], dtype=bool), (pairs[0], pairs[1])), shape=(count, count))
    return connected_components(edges, directed=False)[1]


if __name__ == "__main__":
    main()
