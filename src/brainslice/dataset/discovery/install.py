"""Installation of scans: opening sources, linking or copying, atomic replacement of folders."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from brainslice.dataset.discovery.archives import unpack
from brainslice.errors import DatasetError
from brainslice.files import full_disk_error, is_full_disk, sha256_of

UNPACKED_FOLDER: Final = "data_source"
"""The folder of unpacked archives in a project."""

_PREFIX: Final = ".preparing-"


def open_source(source: Path, project_root: Path) -> Path:
    """Return a source's folder; an archive is unpacked into the project first, once for each content.

    Raises:
        DatasetError: There is no such file, or the archive is unsafe or damaged.
        ResourceError: The disk is full.
    """
    if not source.is_file():
        return source
    folder = project_root / UNPACKED_FOLDER / f"{source.stem}-{sha256_of(source)[:8]}"
    if not folder.is_dir():
        try:
            unpack(source, folder)
        except BaseException:
            with suppress(OSError):
                folder.parent.rmdir()
            raise
    return folder


def refuse_overlap(root: Path, scans: Sequence[Path], replaced: Sequence[Path]) -> None:
    """Refuse sources inside the folders to be replaced.

    Raises:
        DatasetError: A scan lies in a folder that would be replaced.
    """
    targets = [folder.resolve() for folder in replaced]
    for place in sorted({scan.parent.resolve() for scan in scans}):
        if any(place.is_relative_to(target) for target in targets):
            msg = f"{root}: {place} is what preparing replaces; give the folder that the set was downloaded to"
            raise DatasetError(msg)


@contextmanager
def replace_folders(folder: Path, parts: Sequence[str], marker: str) -> Iterator[Path]:
    """Yield a temporary folder whose parts replace those of a folder after the block; other files are kept.

    After an error in the block or while renaming, the old parts are kept or restored. The marker, without which the
    parts are invalid, is removed first and installed last, so that a crash between two renames leaves no valid mixture
    of old and new parts.

    Args:
        folder: The folder of the parts; made where missing.
        parts: Names of files and folders in it, without the marker; parts that the block does not make are removed.
        marker: The name of the file that makes the parts valid.

    Raises:
        ResourceError: The disk is full.
    """
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    new, old = staging / "new", staging / "old"
    try:
        with full_disk_error(folder):
            new.mkdir()
            old.mkdir()
            yield new
            _swap(folder, new, old, [*parts, marker])
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if fresh and not any(folder.iterdir()):
            folder.rmdir()


def install_scan(scan: Path, target: Path, *, copy: bool) -> bool:
    """Link to a scan, or copy it where requested or where the system refuses links.

    Returns:
        Whether the result is a link.
    """
    if not copy:
        try:
            target.symlink_to(scan.resolve())
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and is_full_disk(error):
                raise
        else:
            return True
    shutil.copyfile(scan, target)
    return False


def unused_name(name: str, taken: set[str]) -> str:
    """Return a file name unused in its folder in any case, and add it to ``taken``."""
    stem, dot, suffix = name.rpartition(".")
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{stem}~{number}{dot}{suffix}"
    taken.add(candidate.casefold())
    return candidate


def _swap(folder: Path, new: Path, old: Path, names: Sequence[str]) -> None:
    done: list[tuple[Path, Path]] = []
    moves = [(folder / name, old / name) for name in reversed(names)]
    moves += [(new / name, folder / name) for name in names]
    try:
        for start, end in moves:
            if start.exists() or start.is_symlink():
                start.rename(end)
                done.append((start, end))
    except BaseException:
        for start, end in reversed(done):
            end.rename(start)
        raise
