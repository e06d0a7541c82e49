"""Audit of a folder of scans before training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.dataset.audit.leaks import SPLIT_NAMES, AuditedFile, Overlap, count_by_label, find_leaks, find_overlap
from brainslice.dataset.audit.properties import file_properties, find_shortcuts
from brainslice.dataset.audit.report import AuditReport
from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import connected_groups, find_duplicates
from brainslice.errors import DatasetError, UnreadableScanError
from brainslice.labels import LabelSet
from brainslice.progress import Progress, silent
from brainslice.scan.listing import SkippedFiles, walk_scans
from brainslice.scan.read import SCAN_SUFFIXES, read_scan

__all__ = ["AuditReport", "audit_folder"]

_BLOCK: Final = 128


def audit_folder(folder: Path, against: Path | None = None, progress: Progress = silent) -> AuditReport:
    """Find duplicates, leaks, unreadable files and shortcuts in a folder of scans.

    Any layout will do: class folders, with or without split folders (``Training`` and ``Testing``; ``train``,
    ``val`` and ``test``) above them, or files side by side. Where there are split folders, what lies outside
    them is left out, and so are folders of tumour masks.

    Args:
        folder: The set.
        against: Another set; files that are in both are listed.
        progress: Hears how far it is.

    Returns:
        The report. Files that cannot be read are listed in it.

    Raises:
        DatasetError: A folder does not exist or holds no scans.
    """
    seen = _look_into(folder, progress)
    other = _look_into(against, progress) if against is not None else None
    twins = find_duplicates(seen.sketches, progress, against=other.sketches if other else ())
    within = tuple(twin for twin in twins if twin.second < len(seen.files))
    groups = connected_groups(len(seen.files), within)
    properties = [file_properties(folder / file.path) for file in seen.files]
    overlap = None
    if other is not None:
        shared = find_overlap(seen.files, other.files, twins)
        by_label = count_by_label(seen.files, shared)
        overlap = Overlap(other.folder, len(other.files), len(other.unreadable), shared, by_label)
    return AuditReport(
        folder=folder,
        files=seen.files,
        unreadable=seen.unreadable,
        left_out=seen.left_out,
        skipped=seen.skipped,
        duplicates=within,
        groups=groups,
        leaks=find_leaks(seen.files, within, groups),
        shortcuts=find_shortcuts(properties, [file.label for file in seen.files]),
        overlap=overlap,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The files of a folder after reading."""

    folder: Path
    files: tuple[AuditedFile, ...]
    sketches: tuple[Fingerprint, ...]
    unreadable: tuple[tuple[str, str], ...]
    left_out: int
    skipped: str


def _look_into(folder: Path, progress: Progress) -> _Seen:
    paths, left_out, skipped = _listed(folder)
    files: list[AuditedFile] = []
    sketches: list[Fingerprint] = []
    unreadable: list[tuple[str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), _BLOCK):
            block = paths[start : start + _BLOCK]
            for path, outcome in zip(block, pool.map(_look, block), strict=True):
                if isinstance(outcome, str):
                    unreadable.append((_printable(path.relative_to(folder)), outcome))
                    continue
                files.append(_described(path.relative_to(folder), outcome))
                sketches.append(outcome)
            progress("reading scans", start + len(block), len(paths))
    return _Seen(folder, tuple(files), tuple(sketches), tuple(unreadable), left_out, skipped.summary)


def _look(path: Path) -> Fingerprint | str:
    try:
        str(path).encode()
        return compute_fingerprint(read_scan(path))
    except UnicodeEncodeError:
        return f"{_printable(path)}: must have a name in UTF-8, and has not; rename it"
    except UnreadableScanError as error:
        return str(error)


def _listed(folder: Path) -> tuple[list[Path], int, SkippedFiles]:
    """List a folder's scans, and count those outside the split folders if it has some."""
    if not folder.is_dir():
        msg = f"{folder}: must be a folder of scans, and there is none; check the path"
        raise DatasetError(msg)
    skipped = SkippedFiles()
    paths = sorted(walk_scans(folder, skipped, follow_links=True))
    if not paths:
        msg = f"{folder}: holds no scans; expected files ending in {', '.join(sorted(SCAN_SUFFIXES))}"
        raise DatasetError(msg)
    inside = [path for path in paths if _split_of(path.relative_to(folder).parts[:-1])]
    return (inside, len(paths) - len(inside), skipped) if inside else (paths, 0, skipped)


def _described(path: Path, seen: Fingerprint) -> AuditedFile:
    folders = path.parts[:-1]
    split = _split_of(folders)
    named = [name for name in folders if name != split]
    label = LabelSet().from_folder(named[-1]) or named[-1] if named else ""
    return AuditedFile(path.as_posix(), label, split, seen.sha256, seen.pixel_hash)


def _split_of(folders: Sequence[str]) -> str:
    return next((name for name in folders if name.casefold() in SPLIT_NAMES), "")


def _printable(path: Path) -> str:
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
