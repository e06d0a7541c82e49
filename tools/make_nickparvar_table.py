"""Make the table of known scans that ships with the package, from the set and its list of groups.

Usage: python tools/make_nickparvar_table.py GROUPS_CSV SET_FOLDER src/brainslice/cohort/nickparvar.csv.gz
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

from brainslice.cohort.known import COLUMNS, fingerprint
from brainslice.files import replacing
from brainslice.scan.read import read_scan


def make_table(groups: Path, folder: Path) -> bytes:
    """Add a fingerprint of each picture to the list of groups; equal inputs give equal bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    with groups.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            picture = read_scan(folder / row["path"]).pixels
            name = row["path"].rsplit("/", 1)[-1]
            writer.writerow({**row, "name": name, "fingerprint": f"{fingerprint(picture):016x}"})
    return gzip.compress(text.getvalue().encode(), mtime=0)


if __name__ == "__main__":
    groups_csv, set_folder, target = (Path(argument) for argument in sys.argv[1:])
    with replacing(target) as temporary:
        temporary.write_bytes(make_table(groups_csv, set_folder))
