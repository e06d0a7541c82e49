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
        config: ``data.protocol`` and ``data.test_fold`` determine the split.
        validation_fold: The validation fold of the clean protocol; the one after the test fold where None.

    Raises:
        UsageError: There is no such fold, or it would both validate and test.
        DatasetError: A part would be empty, or a class would be missing from training.
    """
    protocol = Protocol(config.data.protocol)
    return SplitAssignment(manifest, make_split(manifest, protocol, config.data.test_fold, validation_fold))


def fold_count(manifest: Manifest) -> int:
    """Return the number of folds of a set."""
    return 1 + max(record.fold for record in manifest.records)


def reassign_split(manifest: Manifest, folds: int, seed: int) -> Manifest:
    """Assign a prepared set to another number of folds, by group and stratified by class.

    The files are not changed; a set with this number of folds is returned unchanged.

    Raises:
        DatasetError: More folds than groups.
    """
    if folds == fold_count(manifest):
        return manifest
    folds_of = assign_folds(manifest.label_indices, manifest.group_indices, folds, seed).tolist()
    records = (replace(record, fold=fold) for record, fold in zip(manifest.records, folds_of, strict=True))
    return replace(manifest, records=tuple(records))


def find_split(manifest: Manifest, digest: str) -> Split | None:
    """Find the split of a set with a digest, over all folds; None if there is none."""
    return next((split for split in _every_split(manifest) if split.digest == digest), None)


def join_splits(manifest: Manifest, splits: Sequence[Split]) -> Split:
    """Join the splits of ensemble members.

    Args:
        manifest: The common data set.
        splits: The split of each member.

    Returns:
        In ``train`` the training scans of any member, in ``test`` the common test scans of all, and in ``validation``
        validation scans that trained no member. Each part may be empty.

    Raises:
        UsageError: The members have different protocols.
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
    # A fold may validate one member and train another; only leaks within a member count.
    within = max(split.crossing_validation for split in splits)
    return Split(splits[0].protocol, train, validation, test, int(crossing.sum()), within)


def _every_split(manifest: Manifest) -> Iterator[Split]:
    folds = range(fold_count(manifest))
    for test in folds:
        for validation in folds:
            if test != validation:
                yield from _split_if_valid(manifest, Protocol.CLEAN, test, validation)
    yield from _split_if_valid(manifest, Protocol.OFFICIAL, 0, None)


def _split_if_valid(manifest: Manifest, protocol: Protocol, test: int, validation: int | None) -> Iterator[Split]:
    try:
        yield make_split(manifest, protocol, test, validation)
    except (DatasetError, UsageError):
        # No training can have used a split that cannot be made.
        return
