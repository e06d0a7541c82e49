"""Audit reports as JSON and text."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from brainslice.arrays import Groups
from brainslice.dataset.audit.leaks import AuditedFile, Leak, Overlap
from brainslice.dataset.audit.properties import Shortcut
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair

_NAMED: Final = 5
"""Maximum number of files listed in a summary; the rest is counted."""

_PLURALS: Final = {
    DuplicateKind.IDENTICAL: "identical files",
    DuplicateKind.SAME_PIXELS: "files with the same pixels",
    DuplicateKind.NEAR: "near copies",
    DuplicateKind.MIRRORED: "mirrored copies",
    DuplicateKind.ROTATED: "turned copies",
    DuplicateKind.SIMILAR: "copies or next slices",
}


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """The results of an audit.

    Attributes:
        folder: The audited folder.
        files: The readable files, sorted by path.
        unreadable: Path and reason of each unreadable file.
        left_out: Number of files outside the split folders, where there are any.
        duplicates: Pairs of duplicates, as indices into ``files``.
        groups: The group of each file ``(n,)``, connected by duplicates.
        leaks: The leak between each two splits.
        shortcuts: File properties with their association with the class.
        overlap: The overlap with another folder, where one was given.
        skipped: Counts of files passed over, by reason, in one line; empty where there are none.
    """

    folder: Path
    files: tuple[AuditedFile, ...]
    unreadable: tuple[tuple[str, str], ...]
    left_out: int
    duplicates: tuple[DuplicatePair, ...]
    groups: Groups
    leaks: tuple[Leak, ...]
    shortcuts: tuple[Shortcut, ...]
    overlap: Overlap | None = None
    skipped: str = ""

    @property
    def conflicts(self) -> tuple[DuplicatePair, ...]:
        """Duplicates in different classes."""
        return tuple(pair for pair in self.duplicates if self.files[pair.first].label != self.files[pair.second].label)

    @property
    def duplicate_groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups of duplicates, as indices into ``files``, the largest first."""
        members: dict[int, list[int]] = {}
        for index, group in enumerate(self.groups.tolist()):
            members.setdefault(group, []).append(index)
        several = (tuple(indices) for indices in members.values() if len(indices) > 1)
        return tuple(sorted(several, key=lambda indices: (-len(indices), indices)))

    def to_json(self) -> dict[str, object]:
        """Return the report as plain types."""
        return {
            "folder": str(self.folder),
            "files": len(self.files),
            "left_out": self.left_out,
            "skipped": self.skipped,
            "unreadable": [{"path": path, "reason": reason} for path, reason in self.unreadable],
            "counts": {kind.value: count for kind, count in self._counts().items()},
            "groups": int(self.groups.max(initial=-1)) + 1,
            "duplicate_groups": [[self.files[index].path for index in members] for members in self.duplicate_groups],
            "duplicates": [self._pair(pair) for pair in self.duplicates],
            "conflicts": [self._pair(pair) for pair in self.conflicts],
            "leaks": [{**asdict(leak), "known": leak.known} for leak in self.leaks],
            "shortcuts": [{**asdict(shortcut), "predictive": shortcut.predictive} for shortcut in self.shortcuts],
            "overlap": self._overlap(),
        }

    def summary_lines(self) -> tuple[str, ...]:
        """Describe the main findings, a line each."""
        return (
            *self._reading_lines(),
            *self._copy_lines(),
            *(_leak_line(leak) for leak in self.leaks),
            *self._conflict_lines(),
            *self._shortcut_lines(),
            *self._overlap_lines(),
        )

    def _counts(self) -> dict[DuplicateKind, int]:
        counted = Counter(pair.kind for pair in self.duplicates)
        return {kind: counted[kind] for kind in DuplicateKind}

    def _pair(self, pair: DuplicatePair) -> dict[str, object]:
        return {
            "first": self.files[pair.first].path,
            "second": self.files[pair.second].path,
            "kind": pair.kind.value,
            "correlation": round(pair.correlation, 4),
        }

    def _overlap(self) -> dict[str, object] | None:
        if self.overlap is None:
            return None
        return {
            "folder": str(self.overlap.folder),
            "files": self.overlap.files,
            "unreadable": self.overlap.unreadable,
            "classes": [
                {"label": label, "shared": some, "files": total} for label, some, total in self.overlap.by_label
            ],
            "shared": [
                {
                    "path": self.files[each.first].path,
                    "other": each.other,
                    "kind": each.kind.value,
                    "correlation": round(each.correlation, 4),
                }
                for each in self.overlap.shared
            ],
        }

    def _reading_lines(self) -> list[str]:
        splits = Counter(file.split for file in self.files if file.split)
        parts = f" ({', '.join(f'{name} {count:,}' for name, count in sorted(splits.items()))})" if splits else ""
        lines = [f"{self.folder}: {_files(len(self.files))} read{parts}, {len(self.unreadable):,} unreadable"]
        if self.left_out:
            lines.append(f"left out: {_files(self.left_out)} outside the split folders")
        lines += [self.skipped] if self.skipped else []
        lines += [f"unreadable: {reason}" for _, reason in self.unreadable[:_NAMED]]
        if len(self.unreadable) > _NAMED:
            lines.append(f"unreadable: {len(self.unreadable) - _NAMED:,} more")
        return lines

    def _copy_lines(self) -> list[str]:
        if not self.duplicates:
            return ["copies: none found"]
        kinds = ", ".join(
            f"{count:,} {kind.value if count == 1 else _PLURALS[kind]}"
            for kind, count in self._counts().items()
            if count
        )
        groups, repeated = int(self.groups.max(initial=-1)) + 1, self.duplicate_groups
        groups_line = (
            f"groups: {len(self.files):,} files show {groups:,} different pictures; {len(repeated):,} of these "
            f"come more than once, the most frequent {len(repeated[0]):,} times"
        )
        return [f"copies: pairs found: {kinds}", groups_line]

    def _conflict_lines(self) -> list[str]:
        conflicts = self.conflicts
        lines = [
            f"conflict: {self.files[pair.first].path} and {self.files[pair.second].path} show one picture "
            f"({pair.kind.value}) under two classes"
            for pair in conflicts[:_NAMED]
        ]
        if len(conflicts) > _NAMED:
            lines.append(f"conflict: {len(conflicts) - _NAMED:,} more pairs lie in two classes")
        return lines

    def _shortcut_lines(self) -> list[str]:
        return [
            f"shortcut: predicting the class from the file's {shortcut.name} alone is correct in "
            f"{shortcut.accuracy:.1%} of files, always naming the most frequent class in {shortcut.majority:.1%} "
            f"(Cramer's V {shortcut.strength:.2f})"
            for shortcut in self.shortcuts
            if shortcut.predictive
        ]

    def _overlap_lines(self) -> list[str]:
        if self.overlap is None:
            return []
        total = f"{len(self.overlap.shared):,} of {_files(len(self.files))}"
        classes = ", ".join(
            f"{some:,} of {total} {label or 'unsorted'}" for label, some, total in self.overlap.by_label
        )
        unreadable = f"; {_files(self.overlap.unreadable)} there could not be read" if self.overlap.unreadable else ""
        there = f"the {self.overlap.files:,} of {self.overlap.folder}"
        return [f"overlap: {total} are also among {there}: {classes}{unreadable}"]


def _leak_line(leak: Leak) -> str:
    if leak.known == 0:
        return f"leak: {leak.split}: none of {_files(leak.files)} known from {leak.source}"
    kinds = (
        (leak.identical, "identical to a file there"),
        (leak.same_pixels, "with the pixels of a file there"),
        (leak.copies, "copies of a picture there"),
        (leak.near_copies, "copies or next slices of a picture there"),
        (leak.related, "related through other copies"),
    )
    parts = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
    known = f"{leak.known:,} of {_files(leak.files)} ({leak.known / leak.files:.1%})"
    return f"leak: {leak.split}: {known} known from {leak.source}: {parts}"


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"
