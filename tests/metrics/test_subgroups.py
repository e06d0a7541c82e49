from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.metrics.subgroups import BinaryPredictions, size_bins, subgroup_rows


def calls(seed: int, n: int = 120) -> BinaryPredictions:
    rng = np.random.default_rng(seed)
    tumour = rng.random(n) < 0.6
    called = np.where(rng.random(n) < 0.8, tumour, ~tumour)
    return BinaryPredictions(called == tumour, tumour, called, np.arange(n) // 3)


@given(st.integers(0, 2**16))
def test_subgroup_rows_count_their_scans(seed: int) -> None:
    subject = calls(seed)
    values = [("new", "old")[place % 2] for place in range(120)]
    new, old = subgroup_rows("age", values, subject)
    assert (new.value, old.value) == ("new", "old")
    odd = np.arange(120) % 2 == 1
    assert old.accuracy.value == pytest.approx(subject.correct[odd].mean())
    assert old.sensitivity.value == pytest.approx(subject.predicted[odd & subject.tumour].mean())
    assert old.specificity.value == pytest.approx((~subject.predicted[odd & ~subject.tumour]).mean())
    assert new.n + old.n == 120
    assert old.accuracy.interval is not None
    assert old.accuracy.interval.low <= old.accuracy.value <= old.accuracy.interval.high


def test_groups_are_counted_within_the_part() -> None:
    (row, _) = subgroup_rows("half", ["first"] * 30 + ["second"] * 90, calls(0))
    assert (row.n, row.groups) == (30, 10)


def test_subgroup_without_tumours_has_no_sensitivity() -> None:
    subject = BinaryPredictions(np.ones(4, bool), np.zeros(4, bool), np.zeros(4, bool), np.arange(4))
    (row,) = subgroup_rows("class", ["healthy"] * 4, subject)
    assert row.sensitivity.value is None
    assert row.specificity.value == 1.0
    assert json.loads(json.dumps(row.to_json(), allow_nan=False)) == row.to_json()


def test_missing_values_raise() -> None:
    with pytest.raises(UsageError, match="each of 120 scans, got 3"):
        subgroup_rows("age", ["new"] * 3, calls(0))


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=80))
def test_size_bins_are_named_by_their_range(sizes: list[int]) -> None:
    named = size_bins(sizes)
    assert len(set(named)) <= 3
    for size, name in zip(sizes, named, strict=True):
        low, high = (int(end) for end in name.removesuffix(" px").split("-"))
        assert low <= size <= high
    order = [name for _, name in sorted(zip(sizes, named, strict=True))]
    assert order == sorted(order)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=80))
def test_pictures_of_different_sizes_are_never_all_in_one_bin(sizes: list[int]) -> None:
    assert (len(set(size_bins(sizes))) > 1) == (len(set(sizes)) > 1)


def test_common_size_does_not_absorb_others() -> None:
    named = size_bins([225, 232, 236, 268] + [288] * 16)
    assert named == ["0225-0268 px"] * 4 + ["0288-0288 px"] * 16


def test_bins_are_about_equally_full() -> None:
    named = size_bins(list(range(100, 400)))
    assert sorted(np.unique(named, return_counts=True)[1]) == pytest.approx([100, 100, 100], abs=2)


def test_where_no_class_is_healthy_neither_rate_is_defined() -> None:
    none = np.zeros(4, bool)
    (row,) = subgroup_rows("class", ["a"] * 4, BinaryPredictions(np.ones(4, bool), none, none, np.arange(4), none))
    assert (row.sensitivity.value, row.specificity.value, row.accuracy.value) == (None, None, 1.0)
