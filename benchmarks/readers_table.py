"""How every file of a folder is read, or why it is refused, as one table.

Usage: python benchmarks/readers_table.py FOLDER [--volumes]

Each row tells a file, what it is by its content, what became of it, and the milliseconds that took. With
``--volumes`` NIfTI files and DICOM files are read as volumes where they are no slices. Told at the end are the
counts, and the peak of memory where the system tells it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from brainslice.errors import UnreadableScanError
from brainslice.scan import OPENING, Slice, Volume, detect_format, leading_bytes, printable, read_scan, read_volume


def told(scan: Slice | Volume) -> str:
    """Say what was read in a few words."""
    if isinstance(scan, Volume):
        slices, rows, columns = scan.voxels.shape
        steps = " x ".join(f"{step:.3g}" for step in scan.spacing)
        return f"volume of {slices} x {rows} x {columns}, {steps} mm, {scan.acquisition_plane}, tilt {scan.tilt:.0f}"
    rows, columns = scan.pixels.shape
    size = f", {scan.spacing.row:.3g} x {scan.spacing.column:.3g} mm" if scan.spacing else ""
    return f"slice of {rows} x {columns}, {scan.pixels.min():.5g} to {scan.pixels.max():.5g}{size}"


def outcome(path: Path, *, volumes: bool) -> tuple[bool, str]:
    """Read a file, or say why not."""
    try:
        return True, told(read_scan(path))
    except UnreadableScanError as refusal:
        if not (volumes and "brainslice predict-volume" in str(refusal)):
            return False, _refusal(path, refusal)
    try:
        return True, told(read_volume(path))
    except UnreadableScanError as refusal:
        return False, _refusal(path, refusal)


def _refusal(path: Path, refusal: UnreadableScanError) -> str:
    return "refused: " + str(refusal).removeprefix(f"{printable(str(path))}: ")


def family(path: Path) -> str:
    """Name the family of a file by its content."""
    try:
        return detect_format(leading_bytes(path, OPENING)).value
    except UnreadableScanError:
        return "other"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How every file of a folder is read, or why it is refused.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--volumes", action="store_true", help="read as volumes what is no slice")
    given = parser.parse_args()
    read = refused = 0
    for path in sorted(path for path in given.folder.rglob("*") if path.is_file()):
        start = time.perf_counter()
        good, words = outcome(path, volumes=given.volumes)
        taken = 1000 * (time.perf_counter() - start)
        read, refused = read + good, refused + (not good)
        print(f"| {printable(str(path.relative_to(given.folder)))} | {family(path)} | {words} | {taken:.0f} |")
    print(f"\n{read} read, {refused} refused")
    status = Path("/proc/self/status")
    if sys.platform == "linux" and status.is_file():
        print(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
