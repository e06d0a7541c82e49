"""Search for scans in folders, by the same rule in every command."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from brainslice.errors import UnreadableScanError
from brainslice.remote import RemoteFile
from brainslice.scan.detect import OPENING, ScanFormat, detect_format
from brainslice.scan.files import leading_bytes, printable
from brainslice.scan.read import SCAN_SUFFIXES

HIDDEN: Final = "hidden or system files"
OUTLINES: Final = "tumour outlines"
NO_SCAN: Final = "files that are no scans"

_SYSTEM: Final = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"})
# Tables beside scans and files of brainslice are not counted as passed over.
_RECORDS: Final = frozenset(
    {"groups.csv", "labels.csv", "slices.csv", "manifest.csv", "exclusion.json", "dataset.json", ".brainslice.lock"}
)
_MASK_FOLDER: Final = re.compile(r"(tumou?r)?masks?|segmentations?|outlines|groundtruth|annotations")
_MASK_FILE: Final = re.compile(r"(.+?)[ _-](mask|seg|segmentation)([ _-]?\d+)?")
_SUFFIXES: Final = tuple(SCAN_SUFFIXES)
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a")


class SkippedFiles:
    """Counts of the files that a search passed over, by reason, with an example of each unless ``anonymous``."""

    def __init__(self, *, anonymous: bool = False) -> None:
        """Start with no counts."""
        self.counts: Counter[str] = Counter()
        self.anonymous = anonymous
        self._examples: dict[str, str] = {}

    def add(self, reason: str, example: str, count: int = 1) -> None:
        """Count files that were passed over."""
        if count:
            self.counts[reason] += count
            self._examples.setdefault(reason, printable(example))

    @property
    def summary(self) -> str:
        """One line with the counts and reasons; empty where nothing was passed over."""
        parts = [
            f"{count:,} {reason}" + ("" if self.anonymous else f" ({self._examples[reason]})")
            for reason, count in sorted(self.counts.items())
        ]
        return f"passed over: {', '.join(parts)}" if parts else ""


def walk_scans(folder: Path, skipped: SkippedFiles | None = None, *, follow_links: bool = False) -> Iterator[Path]:
    """Find the scans in a folder to any depth, in the order of their names.

    A file is a scan by its suffix or, with another suffix or none, by its first bytes (image, DICOM, NIfTI). Hidden
    files, system files, folders of masks and masks beside their scan (``a_mask.png`` beside ``a.png``) are not.

    Args:
        folder: The folder to search; its own name does not matter.
        skipped: Counts the files passed over.
        follow_links: Whether links to folders are followed, each folder once.

    Yields:
        The scans, and folders that cannot be opened, which reading refuses.
    """
    return _walk(folder, skipped or SkippedFiles(), {os.path.realpath(folder)} if follow_links else None)


def walk_store(folder: RemoteFile, skipped: SkippedFiles) -> Iterator[RemoteFile]:
    """Find the scans in a folder of a store, by the rule and in the order of ``walk_scans``.

    Args:
        folder: The folder to search; its own name does not matter.
        skipped: Counts the files passed over; a folder of masks counts as one.

    Raises:
        DownloadError: The store cannot be reached or does not allow it.
    """
    entries = folder.entries()
    siblings = {name.casefold() for name in entries}
    for name in sorted(entries):
        path = folder / name
        if entries[name]:
            reason = HIDDEN if _is_system(name) else OUTLINES if _is_mask_folder(name) else None
        else:
            reason = reason_to_skip((name,), siblings, partial(path.read, OPENING))
        if reason is not None and name.casefold() not in _RECORDS:
            skipped.add(reason, name)
        elif reason is None:
            yield from walk_store(path, skipped) if entries[name] else (path,)


def reason_to_skip(parts: Sequence[str], siblings: Collection[str], opening: Callable[[], bytes]) -> str | None:
    """Return why a file of an archive is not a scan, by the rule of ``walk_scans``.

    Args:
        parts: The folders and the name of the file.
        siblings: Casefolded names of the files in its folder.
        opening: Reads its first bytes; called only where the name does not decide.

    Returns:
        The reason, or None for a scan.
    """
    *folders, name = parts
    if any(_is_system(part) for part in parts):
        return HIDDEN
    if any(_is_mask_folder(folder) for folder in folders) or _is_mask_of_sibling(name, siblings):
        return OUTLINES
    known = name.casefold().endswith(_SUFFIXES)
    return None if name.casefold() != "dicomdir" and (known or _is_scan_content(opening())) else NO_SCAN


def _walk(folder: Path, skipped: SkippedFiles, visited: set[str] | None) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name: entry.is_dir(follow_symlinks=visited is not None) for entry in entries}
    except OSError:
        yield folder
        return
    siblings = {name.casefold() for name in names}
    for name in sorted(names):
        path = folder / name
        if not names[name]:
            reason = _reason_to_skip(path, siblings)
            if reason is None:
                yield path
            elif name.casefold() not in _RECORDS:
                skipped.add(reason, name)
        elif _is_searched(path, skipped, visited):
            yield from _walk(path, skipped, visited)


def _is_searched(folder: Path, skipped: SkippedFiles, visited: set[str] | None) -> bool:
    if _is_system(folder.name):
        skipped.add(HIDDEN, f"{folder.name}/")
        return False
    if _is_mask_folder(folder.name):
        skipped.add(OUTLINES, f"{folder.name}/", sum(len(files) for _, _, files in os.walk(folder)))
        return False
    if visited is None:
        return True
    real = os.path.realpath(folder)
    known = real in visited
    visited.add(real)
    return not known


def _reason_to_skip(path: Path, siblings: Collection[str]) -> str | None:
    known = path.name.casefold().endswith(_SUFFIXES)
    exists = os.path.exists(path)  # noqa: PTH110 - never raises
    # Broken links and unreachable scans are listed: reading them states the reason.
    broken = not exists and (known or os.path.islink(path))  # noqa: PTH114 - never raises
    if not broken and not os.path.isfile(path) and not _is_system(path.name):  # noqa: PTH113 - never raises
        return NO_SCAN
    reason = reason_to_skip((path.name,), siblings, lambda: leading_bytes(path, OPENING))
    return None if broken and reason == NO_SCAN else reason


def _is_mask_folder(name: str) -> bool:
    return _MASK_FOLDER.fullmatch(re.sub(r"[\s._-]", "", name.casefold())) is not None


def _is_mask_of_sibling(name: str, siblings: Collection[str]) -> bool:
    stem, _, suffix = name.casefold().removesuffix(".gz").partition(".")
    found = _MASK_FILE.fullmatch(stem)
    return found is not None and any(found[1] + ending in siblings for ending in (f".{suffix}", *_SUFFIXES))


def _is_scan_content(data: bytes) -> bool:
    try:
        kind = detect_format(data)
    except UnreadableScanError:
        return False
    if kind is not ScanFormat.RASTER:
        return True
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    bitmap = data[:2] == b"BM" and data[6:10] == bytes(4)
    return webp or bitmap or data.startswith(_PICTURES)


def _is_system(name: str) -> bool:
    return name.startswith((".", "._")) or name.casefold() in _SYSTEM
