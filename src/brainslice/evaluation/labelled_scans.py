"""Scans of known classes from a test set or another site, and samples of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from brainslice.arrays import Groups, Labels
from brainslice.dataset import ExternalSite, Manifest, Split, read_record
from brainslice.labels import LabelSet
from brainslice.scan import Slice, read_scan


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScans:
    """Scans of known classes that neither trained nor validated the model.

    Attributes:
        name: The data set.
        protocol: The protocol of the split whose test scans they are; None for another site.
        label_set: The classes that are told apart.
        labels: The class of each scan ``(n,)``.
        groups: The group of each scan ``(n,)``.
        digests: The hash of each scan.
        read: Reads the scan of a number.
        total: How many there are, of which these were drawn.
    """

    name: str
    protocol: str | None
    label_set: LabelSet
    labels: Labels
    groups: Groups
    digests: tuple[str, ...]
    read: Callable[[int], Slice]
    total: int

    @property
    def description(self) -> str:
        """Name the data set, and say which of its scans these are."""
        which = "scans of another site" if self.protocol is None else f"test scans of the {self.protocol} protocol"
        count = len(self.labels)
        drawn = f"all {count}" if count == self.total else f"{count} of {self.total}, drawn at random"
        return f"{self.name}, {which} ({drawn}; {len(np.unique(self.groups))} groups)"

    def sample(self, count: int, seed: int) -> LabelledScans:
        """Draw scans without replacement, or keep all where ``count`` is 0 or there are no more."""
        if count == 0 or count >= self.total:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(self.total, count, replace=False))
        return replace(
            self,
            labels=self.labels[rows],
            groups=self.groups[rows],
            digests=tuple(self.digests[row] for row in rows.tolist()),
            read=lambda number: self.read(int(rows[number])),
        )


def labelled_test_scans(manifest: Manifest, split: Split) -> LabelledScans:
    """Take the test scans of a split."""
    rows = split.test
    records = [manifest.records[row] for row in rows.tolist()]
    return LabelledScans(
        name=manifest.name,
        protocol=split.protocol.value,
        label_set=manifest.labels,
        labels=manifest.label_indices[rows],
        groups=manifest.group_indices[rows],
        digests=tuple(record.sha256 for record in records),
        read=lambda number: read_record(manifest.root, records[number]),
        total=len(rows),
    )


def labelled_site_scans(site: ExternalSite) -> LabelledScans:
    """Take the scans of another site."""
    return LabelledScans(
        name=site.name,
        protocol=None,
        label_set=site.labels,
        labels=np.array([site.labels.index(scan.label) for scan in site.scans]),
        groups=site.groups,
        digests=tuple(scan.pixel_hash for scan in site.scans),
        read=lambda number: read_scan(site.scans[number].path),
        total=len(site.scans),
    )
