"""Splits into training, validation and test: by the official folders, or by group."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from brainslice.array_types import Float64, Int
from brainslice.arrays import Decisions, Groups, Labels
from brainslice.dataset.manifest import Manifest
from brainslice.errors import DatasetError, LeakError, UsageError

Indices: TypeAlias = Int[np.ndarray, " _"]
"""Indices of a manifest's records, ascending."""

_Counts: TypeAlias = Float64[np.ndarray, "groups k"]
_MAX_SHARE = 0.5


class Protocol(StrEnum):
    """Protocols of choosing the test set."""

    CLEAN = "clean"
    """By fold; no group crosses the split."""
    OFFICIAL = "official"
    """By the folders of the data set, whose groups may cross the split."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Training, validation and test scans.

    Attributes:
        protocol: How the test set was chosen.
        train: Indices of the training scans.
        validation: Indices of the scans that choose checkpoint, temperature and threshold.
        test: Indices of the test scans.
        crossing: Number of test scans whose group is also in training or validation.
        crossing_validation: Number of validation scans whose group is also in training.
    """

    protocol: Protocol
    train: Indices
    validation: Indices
    test: Indices
    crossing: int
    crossing_validation: int = 0

    @property
    def leaky(self) -> bool:
        """Whether a group crosses the split."""
        return self.crossing > 0 or self.crossing_validation > 0

    @property
    def digest(self) -> str:
        """Hash of the protocol and the three parts."""
        digest = hashlib.sha256(self.protocol.value.encode())
        for part in (self.train, self.validation, self.test):
            digest.update(f"|{len(part)}|".encode())
            digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()


def make_split(manifest: Manifest, protocol: Protocol, test_fold: int = 0, validation_fold: int | None = None) -> Split:
    """Split a prepared set into training, validation and test.

    Scans excluded by the manifest are left out of training and validation only.

    Args:
        manifest: The set.
        protocol: ``OFFICIAL`` uses the folders of the set; ``CLEAN`` tests on ``test_fold``, validates on the next
            one and trains on the rest.
        test_fold: The test fold of ``CLEAN``.
        validation_fold: The validation fold of ``CLEAN``; the one after the test fold where None.

    Raises:
        UsageError: There is no such fold, or it would both validate and test.
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


def check_leaks(split: Split, accepted: bool) -> None:  # noqa: FBT001 - the only option
    """Refuse a leaky split that was not accepted explicitly.

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
        "or give --accept-leaks to continue with every output marked leaky"
    )
    raise LeakError(msg)


def assign_folds(
    labels: Labels, groups: Groups, folds: int, seed: int, *, option: str = "data.folds"
) -> Int[np.ndarray, " n"]:
    """Assign groups to folds of similar size and class distribution.

    The largest groups are assigned first, each to the fold with the fewest scans of its classes, weighted by class
    frequency.

    Args:
        labels: Classes ``(n,)``.
        groups: Groups ``(n,)``, which are never divided.
        folds: The number, from two to the number of groups.
        seed: Seed for ties.
        option: The option of the number of folds, for error messages.

    Returns:
        The fold of each scan ``(n,)``, each in ``[0, folds)`` and none empty.

    Raises:
        UsageError: Fewer than two folds.
        DatasetError: More folds than groups.
    """
    if folds < 2:  # noqa: PLR2004 - one fold would both train and test
        msg = f"folds must be at least 2, got {folds}"
        raise UsageError(msg)
    counts, group_of = _count_by_group(labels, groups)
    if len(counts) < folds:
        msg = f"{folds} folds need as many unrelated groups of scans, got {len(counts)}; "
        msg += f"set {option} to {len(counts)} or fewer" if len(counts) > 2 else "add scans of other patients"  # noqa: PLR2004
        raise DatasetError(msg)
    shares = np.column_stack([counts / counts.sum(axis=0), counts.sum(axis=1) / counts.sum()])
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    assigned = np.zeros((folds, shares.shape[1]))
    fold_of = np.zeros(len(counts), dtype=np.int64)
    for group in order:
        # Adding the group here increases the sum of squares the least.
        fold = int(np.lexsort((assigned[:, -1], assigned @ shares[group]))[0])
        assigned[fold] += shares[group]
        fold_of[group] = fold
    return np.take(fold_of, group_of)


def split_validation(labels: Labels, groups: Groups, share: float, seed: int) -> Decisions:
    """Choose groups that make up about ``share`` of every class.

    Classes in two or more groups are in both parts afterwards.

    Args:
        labels: Classes ``(n,)``.
        groups: Groups ``(n,)``, which are never divided.
        share: The target share, above 0 and at most 0.5.
        seed: Seed of the random choice.

    Returns:
        Whether each scan is chosen ``(n,)``.

    Raises:
        UsageError: ``share`` is out of range.
    """
    if not 0 < share <= _MAX_SHARE:
        msg = f"the validation share must be above 0 and at most {_MAX_SHARE}, got {share}"
        raise UsageError(msg)
    counts, group_of = _count_by_group(labels, groups)
    total, wanted = counts.sum(axis=0), share * counts.sum(axis=0)
    chosen, assigned = np.zeros(len(counts), dtype=np.bool_), np.zeros_like(total)
    order = np.random.default_rng(seed).permutation(len(counts))
    for group in order:
        after = assigned + counts[group]
        nearer = (((after - wanted) ** 2 - (assigned - wanted) ** 2) / total).sum() < 0
        if nearer and (after < total).all():
            chosen[group], assigned = True, after
    for label in range(len(total)):
        # With few scans no group brings the class nearer to its share, but validation needs the class.
        candidates = [g for g in order if counts[g, label] and (assigned + counts[g] < total).all()]
        if not assigned[label] and candidates:
            smallest = min(candidates, key=lambda g: float(counts[g].sum()))
            chosen[smallest], assigned = True, assigned + counts[smallest]
    return np.take(chosen, group_of)


def _other_test_folds(manifest: Manifest) -> str:
    """Return the remedy: the test folds for which every class has training scans."""
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
    validates = (test_fold + 1) % count if validation_fold is None else validation_fold
    if not 0 <= validates < count or validates == test_fold:
        msg = f"the validation fold must be from 0 to {count - 1} and not the test fold, got {validates}"
        raise UsageError(msg)
    return np.where(folds == test_fold, "test", np.where(folds == validates, "val", "train"))


def _count_by_group(labels: Labels, groups: Groups) -> tuple[_Counts, Indices]:
    """Count the scans of each group and class; return the counts and the group index of each scan."""
    classes, class_of = np.unique(labels, return_inverse=True)
    names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (group_of, class_of), 1)
    return counts, group_of
