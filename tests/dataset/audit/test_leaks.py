from __future__ import annotations

import pytest

from brainslice.dataset.audit.leaks import (
    AuditedFile,
    Leak,
    SharedScan,
    count_by_label,
    find_leaks,
    find_overlap,
    split_rank,
)
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair, connected_groups


def file(split: str, picture: str, stored: str = "", label: str = "glioma") -> AuditedFile:
    return AuditedFile(f"{split}/{label}/{picture}{stored}.png", label, split, f"{picture}{stored}", picture)


def leaks_of(files: list[AuditedFile], twins: list[DuplicatePair]) -> tuple[Leak, ...]:
    return find_leaks(files, twins, connected_groups(len(files), twins))


def test_each_test_file_counts_once_under_its_closest_relation() -> None:
    files = [
        file("Training", "a"),
        file("Training", "a", "2"),
        file("Testing", "a"),
        file("Testing", "a", "3"),
        file("Testing", "b"),
        file("Testing", "c"),
        file("Testing", "d"),
        file("Testing", "e"),
    ]
    twins = [
        DuplicatePair(0, 1, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(0, 2, DuplicateKind.IDENTICAL, 1.0),
        DuplicatePair(0, 3, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(0, 4, DuplicateKind.MIRRORED, 0.98),
        DuplicatePair(4, 5, DuplicateKind.NEAR, 0.96),
        DuplicatePair(4, 7, DuplicateKind.SIMILAR, 0.92),
        DuplicatePair(0, 7, DuplicateKind.SIMILAR, 0.93),
    ]
    (leak,) = leaks_of(files, twins)
    assert leak == Leak("Testing", "Training", files=6, identical=1, same_pixels=1, copies=1, near_copies=1, related=1)
    assert leak.known == 5


def test_a_copy_counts_whichever_of_several_equal_files_was_compared() -> None:
    files = [file("test", "a"), file("train", "a", "2"), file("test", "b"), file("test", "b", "2")]
    twins = [
        DuplicatePair(0, 1, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(2, 3, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(0, 2, DuplicateKind.NEAR, 0.95),
    ]
    (leak,) = leaks_of(files, twins)
    assert (leak.same_pixels, leak.copies, leak.related) == (1, 2, 0)


def test_every_two_splits_are_compared_the_later_with_the_earlier() -> None:
    files = [file(split, str(place)) for place, split in enumerate(("test", "valid", "Train"))]
    leaks = leaks_of(files, [DuplicatePair(0, 1, DuplicateKind.NEAR, 0.93)])
    assert [(leak.split, leak.source, leak.known) for leak in leaks] == [
        ("valid", "Train", 0),
        ("test", "Train", 0),
        ("test", "valid", 1),
    ]


def test_without_splits_nothing_can_leak() -> None:
    assert leaks_of([file("", "a"), file("", "b")], [DuplicatePair(0, 1, DuplicateKind.NEAR, 0.95)]) == ()


@pytest.mark.parametrize(
    ("name", "rank"), [("TRAIN", 0), ("Training", 0), ("Validation", 1), ("val", 1), ("Testing", 2)]
)
def test_splits_are_known_by_their_names_in_any_case(name: str, rank: int) -> None:
    assert split_rank(name) == rank


def test_a_shared_file_is_listed_with_the_other_file_most_like_it() -> None:
    ours = [file("", "a"), file("", "b"), file("", "c"), file("", "d"), file("", "b", "2")]
    others = [file("", "a", "2"), file("", "a"), file("", "x"), file("", "y")]
    twins = [
        DuplicatePair(0, 5, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(0, 6, DuplicateKind.IDENTICAL, 1.0),
        DuplicatePair(1, 4, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(1, 7, DuplicateKind.NEAR, 0.93),
        DuplicatePair(1, 8, DuplicateKind.MIRRORED, 0.97),
        DuplicatePair(2, 3, DuplicateKind.NEAR, 0.99),
    ]
    assert find_overlap(ours, others, twins) == (
        SharedScan(0, others[1].path, DuplicateKind.IDENTICAL, 1.0),
        SharedScan(1, others[3].path, DuplicateKind.MIRRORED, 0.97),
        SharedScan(4, others[3].path, DuplicateKind.MIRRORED, 0.97),
    )


def test_pixels_stored_differently_in_the_other_set_are_told_from_identical_files() -> None:
    (found,) = find_overlap([file("", "a")], [file("", "a", "2")], [])
    assert found.kind == DuplicateKind.SAME_PIXELS


def test_shared_files_are_counted_for_each_class() -> None:
    files = [file("", "a", label="yes"), file("", "b", label="no"), file("", "c", label="no")]
    shared = [SharedScan(2, "x", DuplicateKind.NEAR, 0.95)]
    assert count_by_label(files, shared) == (("no", 1, 2), ("yes", 0, 1))
