"""Audit of a folder of scans before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brainslice.dataset.audit.leaks import SPLIT_NAMES, AuditedFile, Overlap, count_by_label, find_leaks, find_overlap
from brainslice.dataset.audit.properties import file_properties, find_shortcuts
from brainslice.dataset.audit.report import AuditReport
from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import connected_groups, find_duplicates
from brainslice.errors import DatasetError, UnreadableScanError
from brainslice.labels import LabelSet
from brainslice.progress import Progress, map_in_threads, silent
from brainslice.scan import SCAN_SUFFIXES, SkippedFiles, read_scan, walk_scans


def audit_folder(folder: Path, against: Path | None = None, progress: Progress = silent) -> AuditReport:
    """Find duplicates, leaks, unreadable files and shortcuts in a folder of scans.

    The folder may hold class folders, with or without split folders (``Training`` and ``Testing``; ``train``, ``val``
    and ``test``) above them, or files only. Files outside existing split folders and folders of masks are left out.

    Args:
        folder: The data set.
        against: Another data set; files in both are listed.
        progress: Called with step, done and total.

    Returns:
        The report, with a list of unreadable files.

    Raises:
        DatasetError: A folder does not exist or holds no scans.
    """
    found = _read_folder(folder, progress)
    other = _read_folder(against, progress) if against is not None else None
    pairs = find_duplicates(found.fingerprints, progress, against=other.fingerprints if other else ())
    within = tuple(pair for pair in pairs if pair.second < len(found.files))
    groups = connected_groups(len(found.files), within)
    properties = [file_properties(folder / file.path) for file in found.files]
    overlap = None
    if other is not None:
        shared = find_overlap(found.files, other.files, pairs)
        by_label = count_by_label(found.files, shared)
        overlap = Overlap(other.folder, len(other.files), len(other.unreadable), shared, by_label)
    return AuditReport(
        folder=folder,
        files=found.files,
        unreadable=found.unreadable,
        left_out=found.left_out,
        skipped=found.skipped,
        duplicates=within,
        groups=groups,
        leaks=find_leaks(found.files, within, groups),
        shortcuts=find_shortcuts(properties, [file.label for file in found.files]),
        overlap=overlap,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _ReadFolder:
    """The files of a folder after reading."""

    folder: Path
    files: tuple[AuditedFile, ...]
    fingerprints: tuple[Fingerprint, ...]
    unreadable: tuple[tuple[str, str], ...]
    left_out: int
    skipped: str


def _read_folder(folder: Path, progress: Progress) -> _ReadFolder:
    paths, left_out, skipped = _listed(folder)
    files: list[AuditedFile] = []
    fingerprints: list[Fingerprint] = []
    unreadable: list[tuple[str, str]] = []
    for path, outcome in zip(paths, map_in_threads(_fingerprint, paths, "reading scans", progress), strict=True):
        if isinstance(outcome, str):
            unreadable.append((_printable(path.relative_to(folder)), outcome))
            continue
        files.append(_audited_file(path.relative_to(folder), outcome))
        fingerprints.append(outcome)
    return _ReadFolder(folder, tuple(files), tuple(fingerprints), tuple(unreadable), left_out, skipped.summary)


def _fingerprint(path: Path) -> Fingerprint | str:
    try:
        str(path).encode()
        return compute_fingerprint(read_scan(path))
    except UnicodeEncodeError:
        return f"{_printable(path)}: must have a name in UTF-8, and has not; rename it"
    except UnreadableScanError as error:
        return str(error)


def _listed(folder: Path) -> tuple[list[Path], int, SkippedFiles]:
    """List a folder's scans, and count those outside of split folders."""
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


def _audited_file(path: Path, fingerprint: Fingerprint) -> AuditedFile:
    folders = path.parts[:-1]
    split = _split_of(folders)
    named = [name for name in folders if name != split]
    label = LabelSet().from_folder(named[-1]) or named[-1] if named else ""
    return AuditedFile(path.as_posix(), label, split, fingerprint.sha256, fingerprint.pixel_hash)


def _split_of(folders: Sequence[str]) -> str:
    return next((name for name in folders if name.casefold() in SPLIT_NAMES), "")


def _printable(path: Path) -> str:
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
