"""Assignment of a prepared set to a split: by configuration, by digest, or joined from several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, Split, assign_folds, make_split
from brainslice.errors import DatasetError, UsageError


@dataclass(frozen=True, slots=True, eq=False)
class SplitAssignment:
    """A manifest with its split.

    Attributes:
        manifest: The scans.
        split: Their parts.
    """

    manifest: Manifest
    split: Split


def assign_split(manifest: Manifest, config: Config, validation_fold: int | None = None) -> SplitAssignment:
    """Split a prepared set as configured.

    Args:
        manifest: The set.
        config: ``data.protocol`` and ``data.test_fold`` choose the split.
        validation_fold: The fold that chooses, of the clean protocol; the one after the test fold unless told.

    Raises:
        UsageError: There is no such fold, or one fold would both choose and test.
        DatasetError: A part would be empty, or a class would be missing from training.
    """
    protocol = Protocol(config.data.protocol)
    return SplitAssignment(manifest, make_split(manifest, protocol, config.data.test_fold, validation_fold))


def fold_count(manifest: Manifest) -> int:
    """Return the number of folds of a set."""
    return 1 + max(record.fold for record in manifest.records)


def reassign_split(manifest: Manifest, folds: int, seed: int) -> Manifest:
    """Assign a prepared set to another number of folds, by group and stratified by class.

    Nothing on the disk changes; a set that has this number of folds already is given back as it is.

    Raises:
        DatasetError: More folds than groups.
    """
    if folds == fold_count(manifest):
        return manifest
    dealt = assign_folds(manifest.label_indices, manifest.group_indices, folds, seed).tolist()
    records = (replace(record, fold=fold) for record, fold in zip(manifest.records, dealt, strict=True))
    return replace(manifest, records=tuple(records))


def find_split(manifest: Manifest, digest: str) -> Split | None:
    """Find the split of a set with a digest, over all folds; None if there is none."""
    return next((split for split in _every_split(manifest) if split.digest == digest), None)


def join_splits(manifest: Manifest, splits: Sequence[Split]) -> Split:
    """Join the splits of ensemble members: the scans none was trained on, and held-out scans of each.

    Args:
        manifest: The set that all splits are of.
        splits: One a member, at least one.

    Returns:
        In ``train`` whatever any member was trained on, in ``test`` what every member kept for testing, and in
        ``validation`` what chose something for a member and trained none; each part may be empty.

    Raises:
        UsageError: The members were divided by different protocols.
    """
    protocols = sorted({split.protocol.value for split in splits})
    if len(protocols) > 1:
        msg = f"members of one ensemble must share their protocol, got {' and '.join(protocols)}; train them alike"
        raise UsageError(msg)
    train = reduce(np.union1d, [split.train for split in splits])
    test = reduce(np.intersect1d, [split.test for split in splits])
    chosen = reduce(np.union1d, [split.validation for split in splits])
    validation = np.setdiff1d(chosen, train)
    groups = manifest.group_indices
    crossing = np.isin(groups[test], groups[np.union1d(train, chosen)])
    # Folds validate one member and train another on purpose; what leaks is what leaks within a member.
    within = max(split.crossing_validation for split in splits)
    return Split(splits[0].protocol, train, validation, test, int(crossing.sum()), within)


def _every_split(manifest: Manifest) -> Iterator[Split]:
    folds = range(fold_count(manifest))
    for test in folds:
        for validation in folds:
            if test != validation:
                yield from _made(manifest, Protocol.CLEAN, test, validation)
    yield from _made(manifest, Protocol.OFFICIAL, 0, None)


def _made(manifest: Manifest, protocol: Protocol, test: int, validation: int | None) -> Iterator[Split]:
    try:
        yield make_split(manifest, protocol, test, validation)
    except (DatasetError, UsageError):
        # Nobody can have trained on a split that cannot be made.
        return
