"""A prepared set and its summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, Split, make_split
from brainslice.labels import LabelSet


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """A prepared set.

    Attributes:
        manifest: The manifest in the project.
        unreadable: Source and reason of each file left out.
        linked: Whether the files are links.
        split: The split of the training; None where it cannot be made.
        notes: Lines on files passed over, matched tables, assumptions and problems.
    """

    manifest: Manifest
    unreadable: tuple[tuple[str, str], ...]
    linked: bool
    split: Split | None = None
    notes: tuple[str, ...] = ()

    def summary_lines(self) -> list[str]:
        """Describe classes, groups, split and problems in a few lines."""
        manifest, records = self.manifest, self.manifest.records
        origin = "known patients and pictures" if manifest.groups_from == "table" else "copies found"
        groups = len({record.group for record in records})
        lines = [f"{manifest.name}: {len(records):,} scans in {groups:,} groups of relatives ({origin})"]
        lines.append(_class_line(manifest.labels))
        lines += self.notes
        if self.split is not None:
            lines += _split_lines(manifest, self.split)
        place = "links to the source" if self.linked else "copies of the source"
        lines.append(f"{manifest.root}: {place}; tumour outlines: {manifest.masks or 'none'}")
        if self.unreadable:
            lines.append(f"{len(self.unreadable):,} unreadable files were left out")
        return lines


def _class_line(labels: LabelSet) -> str:
    names = ", ".join(f"{name} (healthy)" if name == labels.healthy else name for name in labels.names)
    return f"classes: {names}" + ("; none is healthy: no tumour/healthy decision" if labels.healthy is None else "")


def _split_lines(manifest: Manifest, split: Split) -> list[str]:
    """Describe the split of the training, and how the folders differ from it."""
    lines = []
    for name, part in (("train", split.train), ("val", split.validation), ("test", split.test)):
        count = Counter(manifest.records[place].label for place in part)
        classes = ", ".join(f"{label} {count[label]:,}" for label in manifest.labels.names)
        lines.append(f"{name} ({split.protocol} protocol): {len(part):,} ({classes})")
    if not manifest.official_split:
        lines.append("the source has no test folder: data/train, data/val and data/test are the clean protocol's parts")
        return lines
    official = make_split(manifest, Protocol.OFFICIAL)
    lines.append(
        f"official split: {official.crossing:,} of {len(official.test):,} test scans have relatives in train or val"
    )
    if split.protocol is Protocol.CLEAN:
        sizes = f"{len(official.train):,}, {len(official.validation):,} and {len(official.test):,} scans"
        lines.append(
            f"data/train, data/val and data/test ({sizes}) are the official split, for comparison; the clean protocol "
            "takes its parts from the column fold of data/manifest.csv, whatever the folder"
        )
    return lines
