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
"""Files that a summary names one by one; the rest is counted."""

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
        folder: What was audited.
        files: The files that could be read, sorted by path.
        unreadable: Path and fault of those that could not.
        left_out: How many files outside the split folders were not looked at, in a set that has some.
        duplicates: Pairs of files that show one picture, as places in ``files``.
        groups: The number of each file's group ``(n,)``: files that twins connect share it.
        leaks: For each two splits how much of the later one is known from the earlier one.
        shortcuts: Properties of files and how far they give the class away.
        overlap: What the folder shares with another one, where one was named.
        skipped: Which files were passed over and why, in one line; empty where none were.
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
        return tuple(twin for twin in self.duplicates if self.files[twin.first].label != self.files[twin.second].label)

    @property
    def duplicate_groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups of duplicates, as indices into ``files``, the largest first."""
        members: dict[int, list[int]] = {}
        for place, group in enumerate(self.groups.tolist()):
            members.setdefault(group, []).append(place)
        several = (tuple(places) for places in members.values() if len(places) > 1)
        return tuple(sorted(several, key=lambda places: (-len(places), places)))

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
            "duplicate_groups": [[self.files[place].path for place in family] for family in self.duplicate_groups],
            "duplicates": [self._pair(twin) for twin in self.duplicates],
            "conflicts": [self._pair(twin) for twin in self.conflicts],
            "leaks": [{**asdict(leak), "known": leak.known} for leak in self.leaks],
            "shortcuts": [{**asdict(giveaway), "predictive": giveaway.predictive} for giveaway in self.shortcuts],
            "overlap": self._overlap(),
        }

    def summary_lines(self) -> tuple[str, ...]:
        """Describe the main findings, a line each."""
        return (
            *self._reading_lines(),
            *self._copy_lines(),
            *(_leak_line(leak) for leak in self.leaks),
            *self._conflict_lines(),
            *self._giveaway_lines(),
            *self._overlap_lines(),
        )

    def _counts(self) -> dict[DuplicateKind, int]:
        counted = Counter(twin.kind for twin in self.duplicates)
        return {kind: counted[kind] for kind in DuplicateKind}

    def _pair(self, twin: DuplicatePair) -> dict[str, object]:
        return {
            "first": self.files[twin.first].path,
            "second": self.files[twin.second].path,
            "kind": twin.kind.value,
            "correlation": round(twin.correlation, 4),
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
        groups, families = int(self.groups.max(initial=-1)) + 1, self.duplicate_groups
        groups_line = (
            f"groups: {len(self.files):,} files show {groups:,} different pictures; {len(families):,} of these "
            f"come more than once, the commonest {len(families[0]):,} times"
        )
        return [f"copies: pairs found: {kinds}", groups_line]

    def _conflict_lines(self) -> list[str]:
        conflicts = self.conflicts
        lines = [
            f"conflict: {self.files[twin.first].path} and {self.files[twin.second].path} show one picture "
            f"({twin.kind.value}) under two classes"
            for twin in conflicts[:_NAMED]
        ]
        if len(conflicts) > _NAMED:
            lines.append(f"conflict: {len(conflicts) - _NAMED:,} more pairs lie in two classes")
        return lines

    def _giveaway_lines(self) -> list[str]:
        return [
            f"giveaway: guessing the class from the file's {giveaway.name} alone is right in "
            f"{giveaway.accuracy:.1%} of files, naming the commonest class in {giveaway.majority:.1%} "
            f"(Cramer's V {giveaway.strength:.2f})"
            for giveaway in self.shortcuts
            if giveaway.predictive
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
    parts = ", ".join(f"{count:,} {said}" for count, said in kinds if count)
    known = f"{leak.known:,} of {_files(leak.files)} ({leak.known / leak.files:.1%})"
    return f"leak: {leak.split}: {known} known from {leak.source}: {parts}"


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"
