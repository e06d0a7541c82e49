"""Make the table of known scans that ships with the package, from the set and its list of groups.

Usage: python tools/make_nickparvar_table.py GROUPS_CSV SET_FOLDER src/brainslice/dataset/nickparvar.csv.gz

The list knows patients and mirrored copies; turned copies, of which there are many among healthy heads, it does not.
Groups of the list that the audit connects therefore become one, under the name and in the fold of the largest.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from brainslice.dataset import COLUMNS, audit_folder, perceptual_hash
from brainslice.files import atomic_file
from brainslice.scan import read_scan


def make_table(groups: Path, folder: Path) -> bytes:
    """Join groups and add a fingerprint of each picture to the list of groups; equal inputs give equal bytes."""
    with groups.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    report = audit_folder(folder)
    found = {file.path: int(group) for file, group in zip(report.files, report.groups, strict=True)}
    joined = join([row["group"] for row in rows], [found[row["path"]] for row in rows])
    fold_of = {row["group"]: row["fold"] for row in rows}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row, group in zip(rows, joined, strict=True):
        picture = read_scan(folder / row["path"]).pixels
        told = {"group": group, "fold": fold_of[group], "fingerprint": f"{perceptual_hash(picture):016x}"}
        writer.writerow({**row, **told, "name": row["path"].rsplit("/", 1)[-1]})
    return gzip.compress(text.getvalue().encode(), mtime=0)


def join(listed: Sequence[str], found: Sequence[int]) -> list[str]:
    """Connect groups of the list through what the audit found; each connected set takes its largest group's name."""
    names, codes = np.unique(listed, return_inverse=True)
    links = coo_matrix((np.ones(len(codes)), (codes, len(names) + np.unique(found, return_inverse=True)[1])))
    side = links.shape[1]
    _, parts = connected_components(coo_matrix((links.data, links.coords), shape=(side, side)), directed=False)
    sizes = Counter(listed)
    name_of = {parts[code]: str(name) for code, name in sorted(enumerate(names), key=lambda item: sizes[str(item[1])])}
    return [name_of[parts[code]] for code in codes]


if __name__ == "__main__":
    groups_csv, set_folder, target = (Path(argument) for argument in sys.argv[1:])
    with atomic_file(target) as temporary:
        temporary.write_bytes(make_table(groups_csv, set_folder))
