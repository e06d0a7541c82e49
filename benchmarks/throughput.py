"""How many scans a second are predicted: one by one, in batches, decoded ahead, and into a table.

Usage: python benchmarks/throughput.py BUNDLE FOLDER [--scans N]

All ways answer for the same scans; each runs once uncounted on one batch first. The last lines tell what finding the
scans of a large tree takes: a folder of ``NAMES`` empty files is made and walked in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from brainslice.inference.predictor import Predictor
from brainslice.scan.read import read_scan
from brainslice.tables.scan_listing import list_scans
from brainslice.tables.table import predict_tree

BATCH = 32
NAMES = 200_000

WALK = """
import sys, time, tracemalloc
from pathlib import Path
from brainslice.tables.scan_listing import list_scans
start = time.perf_counter()
count = sum(1 for _ in list_scans([Path(sys.argv[1])]))
taken = time.perf_counter() - start
tracemalloc.start()
assert sum(1 for _ in list_scans([Path(sys.argv[1])])) == count
print(count, taken, tracemalloc.get_traced_memory()[1])
"""


def told(name: str, scans: int, work: Callable[[], object]) -> None:
    """Time some work and print its scans a second."""
    start = time.perf_counter()
    work()
    print(f"{name:44}{scans / (time.perf_counter() - start):8.1f} scans/s", flush=True)


def walk_a_large_tree() -> None:
    """Print what a tree of many files takes to walk."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(NAMES):
            if number % 1000 == 0:
                (Path(folder) / f"{number // 1000:05}").mkdir()
            (Path(folder) / f"{number // 1000:05}" / f"{number:07}.png").touch()
        command = [sys.executable, "-c", WALK, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a script from above
    count, taken, peak = (float(word) for word in done.stdout.split())
    print(f"walking {count:,.0f} files: {taken:.1f} s, {peak / count:.0f} bytes of memory a file")


def main() -> None:
    """Time every way and print it."""
    parser = argparse.ArgumentParser(description="Scans predicted in a second.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--scans", type=int, default=512, metavar="N")
    given = parser.parse_args()
    predictor = Predictor.open(given.bundle)
    paths = list(islice(list_scans([given.folder]), given.scans))
    list(predictor.predict_many(paths[:BATCH]))
    count = len(paths)
    seen = np.stack([predictor.recipe(read_scan(path)) for path in paths])
    told("decoding alone, one thread", count, lambda: [predictor.recipe(read_scan(path)) for path in paths])
    told("network alone, batches of 32", count, lambda: predictor.score(seen))
    told("one by one", count, lambda: [predictor.predict(path) for path in paths])
    told("decoded ahead, one thread", count, lambda: list(predictor.predict_many(paths, workers=1)))
    told("decoded ahead, a thread a core", count, lambda: list(predictor.predict_many(paths)))
    with tempfile.TemporaryDirectory() as folder:
        told("the same into a table", count, lambda: predict_tree(predictor, paths, Path(folder) / "rows.csv"))
    walk_a_large_tree()


if __name__ == "__main__":
    main()
