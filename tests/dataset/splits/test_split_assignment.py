from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.config import read_config
from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.dataset.splits.split_assignment import assign_split, find_split, fold_count, join_splits, reassign_split
from brainslice.errors import DatasetError, UsageError
from brainslice.labels import LabelSet

FOLDS = 5


def drawn(groups: int = 30, seed: int = 0, official: str = "train") -> Manifest:
    """Groups of one to four scans, dealt to folds in turn; of the set's own parts only training unless told."""
    rng = np.random.default_rng(seed)
    records = []
    for group in range(groups):
        label = "glioma" if group % 2 else "no_tumor"
        for _ in range(int(rng.integers(1, 5))):
            number = len(records)
            split = ("train", "val", "test")[group // 2 % 3] if official == "all" else official
            fold = group // 2 % FOLDS
            name = f"{number}.png"
            records.append(Record(name, f"{number:064x}", f"{number:064x}", label, f"g{group}", split, fold, name))
    labels = LabelSet(("no_tumor", "glioma"))
    return Manifest(Path("data"), "some", labels, "audit", official_split=True, records=tuple(records))


def test_the_configuration_says_who_tests_and_the_next_fold_chooses() -> None:
    division = assign_split(drawn(), read_config(None, ("data.test_fold=4",)))
    folds = np.array([record.fold for record in division.manifest.records])
    assert set(folds[division.split.test]) == {4}
    assert set(folds[division.split.validation]) == {0}
    assert set(folds[division.split.train]) == {1, 2, 3}


def test_another_fold_may_choose() -> None:
    division = assign_split(drawn(), read_config(None), validation_fold=3)
    folds = np.array([record.fold for record in division.manifest.records])
    assert set(folds[division.split.validation]) == {3}
    assert set(folds[division.split.train]) == {1, 2, 4}


@pytest.mark.parametrize("fold", [0, 5, -1])
def test_a_fold_cannot_both_choose_and_test_nor_be_none_of_them(fold: int) -> None:
    with pytest.raises(UsageError, match=r"validation fold must be from 0 to 4 and not the test fold"):
        assign_split(drawn(), read_config(None), validation_fold=fold)


@given(st.integers(3, 12), st.integers(0, 20))
def test_dealing_again_divides_no_group_and_leaves_no_fold_empty(folds: int, seed: int) -> None:
    manifest = drawn()
    dealt = reassign_split(manifest, folds, seed)
    assert fold_count(dealt) == folds
    assert len({(record.group, record.fold) for record in dealt.records}) == 30
    assert [record.sha256 for record in dealt.records] == [record.sha256 for record in manifest.records]
    for fold in range(folds):
        assert {record.label for record in dealt.records if record.fold == fold} == {"no_tumor", "glioma"}


def test_folds_that_are_there_already_are_left_as_they_are() -> None:
    manifest = drawn()
    assert reassign_split(manifest, FOLDS, 7) is manifest


def test_more_folds_than_groups_cannot_be_dealt() -> None:
    with pytest.raises(DatasetError, match="31 folds need as many unrelated groups"):
        reassign_split(drawn(), 31, 0)


def test_a_split_is_found_by_its_digest_whichever_folds_it_has() -> None:
    manifest = drawn(official="all")
    wanted = [make_split(manifest, Protocol.CLEAN, test, choose) for test, choose in ((0, 1), (0, 3), (4, 2))]
    wanted.append(make_split(manifest, Protocol.OFFICIAL))
    for split in wanted:
        found = find_split(manifest, split.digest)
        assert found is not None
        assert (found.protocol, found.test.tolist()) == (split.protocol, split.test.tolist())


def test_a_split_of_other_scans_is_not_found() -> None:
    foreign = make_split(drawn(seed=1), Protocol.CLEAN)
    assert find_split(drawn(), foreign.digest) is None


def test_an_ensemble_may_be_tested_on_what_no_member_has_seen() -> None:
    manifest = drawn()
    splits = [make_split(manifest, Protocol.CLEAN, 0, choose) for choose in (1, 2, 3, 4)]
    joined = join_splits(manifest, splits)
    assert joined.test.tolist() == splits[0].test.tolist()
    assert set(joined.train) | set(joined.test) == set(range(len(manifest.records)))
    assert not set(joined.train) & set(joined.test)
    assert joined.validation.tolist() == []
    assert not joined.leaky


def test_members_of_one_split_keep_it() -> None:
    manifest = drawn()
    split = make_split(manifest, Protocol.CLEAN, 2)
    assert join_splits(manifest, [split, split]).digest == split.digest


def test_the_folds_of_a_cross_validation_leave_nothing_to_test_on() -> None:
    manifest = drawn()
    joined = join_splits(manifest, [make_split(manifest, Protocol.CLEAN, test) for test in range(FOLDS)])
    assert joined.test.tolist() == []
    assert len(joined.train) == len(manifest.records)


def test_a_scan_that_chose_for_one_member_tests_no_ensemble() -> None:
    manifest = drawn()
    one, other = make_split(manifest, Protocol.CLEAN, 0, 1), make_split(manifest, Protocol.CLEAN, 1, 0)
    assert join_splits(manifest, [one, other]).test.tolist() == []


def test_members_of_two_protocols_are_refused() -> None:
    manifest = drawn(official="all")
    pair = [make_split(manifest, Protocol.CLEAN), make_split(manifest, Protocol.OFFICIAL)]
    with pytest.raises(UsageError, match="share their protocol, got clean and official"):
        join_splits(manifest, pair)
