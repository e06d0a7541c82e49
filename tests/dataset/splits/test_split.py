from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.splits.split import (
    Protocol,
    assign_folds,
    check_leaks,
    make_split,
    split_validation,
)
from brainslice.errors import DatasetError, LeakError, UsageError
from brainslice.labels import LabelSet

LABELS = LabelSet(("no_tumor", "glioma"))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scans of up to four classes in groups that may hold several classes."""
    count = draw(st.integers(12, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(0, draw(st.integers(1, 4)), count), rng.integers(0, draw(st.integers(6, 60)), count)


def manifest(rows: list[tuple[str, str, str, int]]) -> Manifest:
    records = tuple(
        Record(f"{split}/{label}/{i}.png", f"{i:064x}", f"{i:064x}", label, group, split, fold, f"{i}.png")
        for i, (label, group, split, fold) in enumerate(rows)
    )
    return Manifest(Path("data"), "some", LABELS, "audit", official_split=True, records=records)


def both(group: str, split: str, fold: int) -> list[tuple[str, str, str, int]]:
    return [("glioma", f"g{group}", split, fold), ("no_tumor", f"n{group}", split, fold)]


@given(cohorts(), st.integers(2, 5), st.integers(0, 9))
def test_groups_never_cross_folds_and_no_fold_is_empty(
    drawn: tuple[np.ndarray, np.ndarray], folds: int, seed: int
) -> None:
    labels, groups = drawn
    assume(len(np.unique(groups)) >= folds)
    dealt = assign_folds(labels, groups, folds, seed)
    assert all(len(np.unique(dealt[groups == group])) == 1 for group in np.unique(groups))
    assert set(dealt.tolist()) == set(range(folds))
    assert (dealt == assign_folds(labels, groups, folds, seed)).all()


@given(st.integers(0, 2**32 - 1))
def test_folds_hold_their_share_of_every_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 200)
    labels = np.repeat(rng.choice(4, 200, p=[0.5, 0.3, 0.15, 0.05]), sizes)
    dealt = assign_folds(labels, np.repeat(np.arange(200), sizes), 5, seed)
    assert np.ptp(np.bincount(dealt)) <= 12
    for label in range(4):
        # No fold can be fairer than the largest group allows.
        assert np.ptp(np.bincount(dealt[labels == label], minlength=5)) <= 9


def test_folds_of_single_scans_differ_by_one_scan_at_most() -> None:
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    dealt = assign_folds(labels, np.arange(80), 5, seed=3)
    for label in range(3):
        assert np.ptp(np.bincount(dealt[labels == label], minlength=5)) <= 1


def test_folds_that_cannot_be_dealt_are_refused() -> None:
    labels = np.zeros(6, dtype=np.int64)
    with pytest.raises(UsageError, match="at least 2"):
        assign_folds(labels, np.arange(6), 1, seed=0)
    with pytest.raises(DatasetError, match="got 2; add scans of other patients"):
        assign_folds(labels, np.array([0, 0, 0, 1, 1, 1]), 3, seed=0)
    with pytest.raises(DatasetError, match=r"got 3; set adapt\.folds to 3 or fewer"):
        assign_folds(labels, np.array([0, 0, 1, 1, 2, 2]), 4, seed=0, option="adapt.folds")


def test_the_test_folds_that_work_for_a_class_of_two_patients_are_named() -> None:
    rows = [("glioma", f"g{fold}", "train", fold) for fold in range(5)]
    found = manifest([*rows, ("no_tumor", "a", "train", 0), ("no_tumor", "b", "train", 1)])
    with pytest.raises(DatasetError, match=r"no training scans of no_tumor; set data\.test_fold to 1 or 2 or 3 or 4"):
        make_split(found, Protocol.CLEAN)
    assert all(len(make_split(found, Protocol.CLEAN, fold).train) for fold in range(1, 5))


@given(cohorts(), st.floats(0.05, 0.5), st.integers(0, 9))
def test_carving_divides_no_group_and_strips_no_class(
    drawn: tuple[np.ndarray, np.ndarray], share: float, seed: int
) -> None:
    labels, groups = drawn
    chosen = split_validation(labels, groups, share, seed)
    assert not set(groups[chosen].tolist()) & set(groups[~chosen].tolist())
    assert set(labels[~chosen].tolist()) == set(labels.tolist())


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.4))
def test_carving_takes_its_share_of_every_class(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, 300)
    labels = np.repeat(rng.integers(0, 4, 300), sizes)
    chosen = split_validation(labels, np.repeat(np.arange(300), sizes), share, seed)
    for label in range(4):
        assert chosen[labels == label].mean() == pytest.approx(share, abs=0.03)


@given(st.integers(0, 99))
def test_a_class_of_two_groups_is_on_both_sides(seed: int) -> None:
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 3, 3])
    chosen = split_validation(labels, groups, 0.1, seed)
    assert set(labels[chosen].tolist()) == set(labels[~chosen].tolist()) == {0, 1}


@pytest.mark.parametrize("share", [0.0, -0.1, 0.51, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="share must be"):
        split_validation(np.array([0, 1]), np.array([0, 1]), share, 0)


def test_clean_tests_one_fold_and_validates_on_the_next() -> None:
    found = manifest([row for fold in range(4) for row in both(str(fold), "train", fold)])
    split = make_split(found, Protocol.CLEAN, test_fold=3)
    assert split.test.tolist() == [6, 7]
    assert split.validation.tolist() == [0, 1]
    assert split.train.tolist() == [2, 3, 4, 5]
    assert not split.leaky
    check_leaks(split, accepted=False)


def test_official_follows_the_folders_and_counts_who_crosses() -> None:
    rows = (
        both("1", "train", 0) + both("2", "val", 1) + both("1", "test", 2) + both("2", "test", 3) + both("3", "test", 0)
    )
    split = make_split(manifest(rows), Protocol.OFFICIAL)
    assert (split.crossing, split.crossing_validation) == (4, 0)
    with pytest.raises(LeakError, match=r"4 of 6 test scans .*--accept-leaks"):
        check_leaks(split, accepted=False)
    check_leaks(split, accepted=True)


def test_relatives_between_train_and_validation_are_a_leak_too() -> None:
    split = make_split(manifest(both("1", "train", 0) + both("1", "val", 0) + both("2", "test", 0)), Protocol.OFFICIAL)
    assert (split.crossing, split.crossing_validation) == (0, 2)
    with pytest.raises(LeakError, match="2 of 2 validation scans"):
        check_leaks(split, accepted=False)


def test_the_digest_tells_splits_apart() -> None:
    found = manifest(
        [row for fold in range(4) for row in both(str(fold), ("train", "val", "test", "train")[fold], fold)]
    )
    digests = {make_split(found, Protocol.CLEAN, fold).digest for fold in range(4)}
    digests.add(make_split(found, Protocol.OFFICIAL).digest)
    assert len(digests) == 5
    assert make_split(found, Protocol.CLEAN, 2).digest in digests


def test_splits_that_cannot_be_made_are_refused() -> None:
    found = manifest(both("0", "train", 0) + both("1", "train", 1))
    with pytest.raises(UsageError, match="from 0 to 1"):
        make_split(found, Protocol.CLEAN, test_fold=2)
    with pytest.raises(DatasetError, match="no training scans"):
        make_split(found, Protocol.CLEAN)
    with pytest.raises(DatasetError, match="no validation scans"):
        make_split(found, Protocol.OFFICIAL)
    one_sided = manifest([("glioma", "a", "train", 0), *both("b", "val", 0), *both("c", "test", 0)])
    with pytest.raises(DatasetError, match="no training scans of no_tumor"):
        make_split(one_sided, Protocol.OFFICIAL)


@pytest.mark.real
def test_the_real_groups_are_dealt_as_evenly_as_by_hand(real_scans: Path) -> None:
    with (real_scans / "nickparvar_groups.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    labels = np.unique([row["class"] for row in rows], return_inverse=True)[1]
    groups = np.unique([row["group"] for row in rows], return_inverse=True)[1]
    dealt = assign_folds(labels, groups, 5, seed=42)
    assert np.ptp(np.bincount(dealt)) <= 10
    for label in range(4):
        assert np.ptp(np.bincount(dealt[labels == label])) <= 25
