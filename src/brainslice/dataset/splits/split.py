"""Who trains, who validates, who tests: by the set's own folders, or so that no group crosses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int

from brainslice.arrays import Decisions, Groups, Labels
from brainslice.dataset.manifest import Manifest
from brainslice.errors import DatasetError, LeakError, UsageError

Indices: TypeAlias = Int[np.ndarray, " _"]
"""Places in a manifest's records, ascending."""

_Counts: TypeAlias = Float64[np.ndarray, "groups k"]
_LARGEST_SHARE = 0.5


class Protocol(StrEnum):
    """How a test set is chosen."""

    CLEAN = "clean"
    """By fold: scans of one group are never on both sides."""
    OFFICIAL = "official"
    """As the set's own folders have it, relatives on both sides or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which scans train, which choose, and which are kept for the end.

    Attributes:
        protocol: How the test set was chosen.
        train: Places of the training scans.
        validation: Places of the scans that choose checkpoint, temperature and threshold.
        test: Places of the scans that are looked at once.
        crossing: Test scans whose group is also in train or validation.
        crossing_validation: Validation scans whose group is also in train.
    """

    protocol: Protocol
    train: Indices
    validation: Indices
    test: Indices
    crossing: int
    crossing_validation: int = 0

    @property
    def leaky(self) -> bool:
        """Whether some group is on both sides of a border."""
        return self.crossing > 0 or self.crossing_validation > 0

    @property
    def digest(self) -> str:
        """The protocol and all three parts in one hash."""
        digest = hashlib.sha256(self.protocol.value.encode())
        for part in (self.train, self.validation, self.test):
            digest.update(f"|{len(part)}|".encode())
            digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()


def make_split(manifest: Manifest, protocol: Protocol, test_fold: int = 0, validation_fold: int | None = None) -> Split:
    """Divide a prepared set for training, choosing and testing.

    Scans that the manifest excludes neither train nor choose; where they test, they still do.

    Args:
        manifest: The set.
        protocol: ``OFFICIAL`` takes the set's own folders; ``CLEAN`` tests on ``test_fold``, validates on
            the next one and trains on the rest.
        test_fold: The fold that tests; only ``CLEAN`` looks at it.
        validation_fold: The fold that validates; the next one unless told, and only ``CLEAN`` looks at it.

    Raises:
        UsageError: There is no such fold, or one fold would both validate and test.
        DatasetError: A part would be empty, or a class would be missing from training.
    """
    parts = _folders(manifest) if protocol is Protocol.OFFICIAL else _folds(manifest, test_fold, validation_fold)
    left_out = manifest.excluded & (parts != "test")
    train, validation, test = (np.flatnonzero((parts == name) & ~left_out) for name in ("train", "val", "test"))
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        if not len(part):
            msg = f"{manifest.root}: the {protocol} split leaves no {name} scans; prepare a set with more scans"
            raise DatasetError(msg)
    labels, groups = manifest.label_indices, manifest.group_indices
    absent = sorted(set(range(len(manifest.labels))) - set(labels[train].tolist()))
    if absent:
        names = ", ".join(manifest.labels.names[index] for index in absent)
        remedy = "add some" if protocol is Protocol.OFFICIAL else _other_test_folds(manifest)
        msg = f"{manifest.root}: the {protocol} split leaves no training scans of {names}; {remedy}"
        raise DatasetError(msg)
    crossing = np.isin(groups[test], groups[np.concatenate([train, validation])])
    within = np.isin(groups[validation], groups[train])
    return Split(protocol, train, validation, test, int(crossing.sum()), int(within.sum()))


def check_leaks(split: Split, accepted: bool) -> None:  # noqa: FBT001 - the one question there is
    """Stop where relatives of a scan are on the other side, unless somebody accepted that in words.

    Raises:
        LeakError: Groups cross the split and ``accepted`` is false.
    """
    if not split.leaky or accepted:
        return
    found = []
    if split.crossing:
        found.append(f"{split.crossing} of {len(split.test)} test scans have relatives in train or validation")
    if split.crossing_validation:
        among = len(split.validation)
        found.append(f"{split.crossing_validation} of {among} validation scans have relatives in train")
    msg = (
        f"the {split.protocol} split leaks: {' and '.join(found)}; take the clean protocol, "
        "or give --accept-leaks to go on with every output marked leaky"
    )
    raise LeakError(msg)


def assign_folds(
    labels: Labels, groups: Groups, folds: int, seed: int, *, option: str = "data.folds"
) -> Int[np.ndarray, " n"]:
    """Deal groups out to folds of about equal size and about equal mixture of classes.

    The largest groups are dealt first, each to the fold that holds fewest of its classes; every class counts
    alike, however rare.

    Args:
        labels: Classes ``(n,)``.
        groups: Groups ``(n,)``; no group is ever divided.
        folds: How many, at least two and at most the number of groups.
        seed: Decides between equals.
        option: What sets the number of folds, for error messages.

    Returns:
        The fold of each scan ``(n,)``, each in ``[0, folds)`` and none empty.

    Raises:
        UsageError: Fewer than two folds.
        DatasetError: More folds than groups.
    """
    if folds < 2:  # noqa: PLR2004 - one fold would both train and test
        msg = f"folds must be at least 2, got {folds}"
        raise UsageError(msg)
    counts, member_of = _tally(labels, groups)
    if len(counts) < folds:
        msg = f"{folds} folds need as many unrelated groups of scans, got {len(counts)}; "
        msg += f"set {option} to {len(counts)} or fewer" if len(counts) > 2 else "add scans of other patients"  # noqa: PLR2004
        raise DatasetError(msg)
    shares = np.column_stack([counts / counts.sum(axis=0), counts.sum(axis=1) / counts.sum()])
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    held = np.zeros((folds, shares.shape[1]))
    fold_of = np.zeros(len(counts), dtype=np.int64)
    for group in order:
        # Sums of squares grow least where least is held of what the group brings.
        fold = int(np.lexsort((held[:, -1], held @ shares[group]))[0])
        held[fold] += shares[group]
        fold_of[group] = fold
    return np.take(fold_of, member_of)


def split_validation(labels: Labels, groups: Groups, share: float, seed: int) -> Decisions:
    """Choose whole groups that make up about ``share`` of every class.

    A class is never taken whole; where two or more groups hold it, it is on both sides afterwards.

    Args:
        labels: Classes ``(n,)``.
        groups: Groups ``(n,)``; no group is ever divided.
        share: The part wanted, above 0 and at most 0.5.
        seed: Decides which groups.

    Returns:
        Whether each scan is chosen ``(n,)``.

    Raises:
        UsageError: ``share`` is out of range.
    """
    if not 0 < share <= _LARGEST_SHARE:
        msg = f"the validation share must be above 0 and at most {_LARGEST_SHARE}, got {share}"
        raise UsageError(msg)
    counts, member_of = _tally(labels, groups)
    total, wanted = counts.sum(axis=0), share * counts.sum(axis=0)
    chosen, held = np.zeros(len(counts), dtype=np.bool_), np.zeros_like(total)
    order = np.random.default_rng(seed).permutation(len(counts))
    for group in order:
        after = held + counts[group]
        nearer = (((after - wanted) ** 2 - (held - wanted) ** 2) / total).sum() < 0
        if nearer and (after < total).all():
            chosen[group], held = True, after
    for label in range(len(total)):
        # Few scans: no group brings the class nearer to its share, yet validation must know the class.
        able = [g for g in order if counts[g, label] and (held + counts[g] < total).all()]
        if not held[label] and able:
            smallest = min(able, key=lambda g: float(counts[g].sum()))
            chosen[smallest], held = True, held + counts[smallest]
    return np.take(chosen, member_of)


def _other_test_folds(manifest: Manifest) -> str:
    """Name the test folds under which every class has training scans."""
    labels, folds = manifest.label_indices, np.array([record.fold for record in manifest.records])
    count = int(folds.max()) + 1
    trains = {fold: ~np.isin(folds, (fold, (fold + 1) % count)) & ~manifest.excluded for fold in range(count)}
    working = [str(fold) for fold, rows in trains.items() if len(set(labels[rows])) == len(manifest.labels)]
    if not working:
        return "add scans of other patients"
    return f"set data.test_fold to {' or '.join(working)}, or add scans of other patients"


def _folders(manifest: Manifest) -> np.ndarray:
    return np.array([record.split for record in manifest.records])


def _folds(manifest: Manifest, test_fold: int, validation_fold: int | None) -> np.ndarray:
    folds = np.array([record.fold for record in manifest.records])
    count = int(folds.max()) + 1
    if not 0 <= test_fold < count:
        msg = f"the test fold must be from 0 to {count - 1}, got {test_fold}"
        raise UsageError(msg)
    chooses = (test_fold + 1) % count if validation_fold is None else validation_fold
    if not 0 <= chooses < count or chooses == test_fold:
        msg = f"the validation fold must be from 0 to {count - 1} and not the test fold, got {chooses}"
        raise UsageError(msg)
    return np.where(folds == test_fold, "test", np.where(folds == chooses, "val", "train"))


def _tally(labels: Labels, groups: Groups) -> tuple[_Counts, Indices]:
    """Count each group's scans of each class that occurs, and tell which group each scan is in."""
    classes, class_of = np.unique(labels, return_inverse=True)
    names, member_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (member_of, class_of), 1)
    return counts, member_of
