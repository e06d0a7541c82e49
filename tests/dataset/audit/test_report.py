from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from brainslice.dataset.audit.leaks import AuditedFile, Overlap, SharedScan, find_leaks
from brainslice.dataset.audit.properties import Shortcut
from brainslice.dataset.audit.report import AuditReport
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair, connected_groups

FILES = (
    AuditedFile("Testing/glioma/t.png", "glioma", "Testing", "1", "p1"),
    AuditedFile("Training/glioma/a.png", "glioma", "Training", "1", "p1"),
    AuditedFile("Training/glioma/b.png", "glioma", "Training", "2", "p2"),
    AuditedFile("Training/pituitary/c.png", "pituitary", "Training", "3", "p3"),
    AuditedFile("Training/pituitary/d.png", "pituitary", "Training", "4", "p4"),
)
TWINS = (DuplicatePair(0, 1, DuplicateKind.IDENTICAL, 1.0), DuplicatePair(2, 3, DuplicateKind.MIRRORED, 0.96543))
GROUPS = connected_groups(len(FILES), TWINS)
REPORT = AuditReport(
    folder=Path("heads"),
    files=FILES,
    unreadable=(("Training/glioma/x.png", "heads/Training/glioma/x.png: the file is empty; copy it again"),),
    left_out=0,
    duplicates=TWINS,
    groups=GROUPS,
    leaks=find_leaks(FILES, TWINS, GROUPS),
    shortcuts=(Shortcut("mode", 2, 0.91, 0.95, 0.6), Shortcut("format", 1, 0.0, 0.6, 0.6)),
)
CLEAN = AuditReport(Path("clean"), FILES[1:3], (), 0, (), connected_groups(2, ()), (), ())


def test_duplicate_groups_are_sorted_by_size() -> None:
    twins = (*TWINS, DuplicatePair(3, 4, DuplicateKind.NEAR, 0.92))
    report = dataclasses.replace(REPORT, duplicates=twins, groups=connected_groups(len(FILES), twins))
    assert report.duplicate_groups == ((2, 3, 4), (0, 1))


def test_duplicates_of_two_classes_are_conflicts() -> None:
    assert REPORT.conflicts == (TWINS[1],)
    assert CLEAN.conflicts == ()


def test_the_json_says_everything_in_plain_types() -> None:
    said = json.loads(json.dumps(REPORT.to_json(), allow_nan=False))
    assert said["files"] == 5
    assert said["groups"] == 3
    assert said["counts"] == {
        "identical file": 1,
        "same pixels": 0,
        "near copy": 0,
        "mirrored copy": 1,
        "turned copy": 0,
        "copy or next slice": 0,
    }
    assert said["duplicates"][1] == {
        "first": "Training/glioma/b.png",
        "second": "Training/pituitary/c.png",
        "kind": "mirrored copy",
        "correlation": 0.9654,
    }
    assert said["conflicts"] == said["duplicates"][1:]
    assert said["duplicate_groups"][0] == ["Testing/glioma/t.png", "Training/glioma/a.png"]
    assert said["leaks"][0]["known"] == said["leaks"][0]["identical"] == 1
    assert said["unreadable"][0]["path"] == "Training/glioma/x.png"
    assert [each["predictive"] for each in said["shortcuts"]] == [True, False]
    assert said["overlap"] is None


def test_the_summary_says_what_was_found_in_sentences() -> None:
    assert REPORT.summary_lines()[:5] == (
        "heads: 5 files read (Testing 1, Training 4), 1 unreadable",
        "unreadable: heads/Training/glioma/x.png: the file is empty; copy it again",
        "copies: pairs found: 1 identical file, 1 mirrored copy",
        "groups: 5 files show 3 different pictures; 2 of these come more than once, the most frequent 2 times",
        "leak: Testing: 1 of 1 file (100.0%) known from Training: 1 identical to a file there",
    )
    assert REPORT.summary_lines()[5] == (
        "conflict: Training/glioma/b.png and Training/pituitary/c.png show one picture (mirrored copy) "
        "under two classes"
    )
    assert REPORT.summary_lines()[6] == (
        "shortcut: predicting the class from the file's mode alone is correct in 95.0% of files, "
        "always naming the most frequent class in 60.0% (Cramer's V 0.91)"
    )


def test_a_clean_folder_gets_a_short_summary() -> None:
    assert CLEAN.summary_lines() == ("clean: 2 files read (Training 2), 0 unreadable", "copies: none found")


def test_splits_without_leaks_are_reported_as_such() -> None:
    report = dataclasses.replace(
        REPORT, duplicates=(), groups=connected_groups(5, ()), leaks=find_leaks(FILES[1:], (), connected_groups(4, ()))
    )
    assert not any(line.startswith("leak") for line in report.summary_lines())
    apart = (FILES[2], AuditedFile("Testing/t.png", "", "Testing", "9", "p9"))
    leaks = find_leaks(apart, (), connected_groups(2, ()))
    line = dataclasses.replace(REPORT, leaks=leaks).summary_lines()[4]
    assert line == "leak: Testing: none of 1 file known from Training"


def test_long_lists_are_cut_and_counted() -> None:
    report = dataclasses.replace(
        REPORT, unreadable=tuple((f"{n}.png", f"{n}.png: broken") for n in range(9)), left_out=1
    )
    lines = report.summary_lines()
    assert lines[1] == "left out: 1 file outside the split folders"
    assert lines[6:8] == ("unreadable: 4.png: broken", "unreadable: 4 more")
    twins = tuple(DuplicatePair(place, 4, DuplicateKind.NEAR, 0.95) for place in (0, 1, 2))
    many = dataclasses.replace(REPORT, duplicates=twins * 3)
    assert many.summary_lines()[-2] == "conflict: 4 more pairs lie in two classes"


def test_the_overlap_is_told_for_each_class() -> None:
    shared = (SharedScan(3, "no/7.jpg", DuplicateKind.NEAR, 0.95),)
    overlap = Overlap(Path("other"), 70, 1, shared, (("glioma", 0, 3), ("pituitary", 1, 2)))
    report = dataclasses.replace(REPORT, overlap=overlap)
    assert report.summary_lines()[-1] == (
        "overlap: 1 of 5 files are also among the 70 of other: 0 of 3 glioma, 1 of 2 pituitary; "
        "1 file there could not be read"
    )
    said = report.to_json()["overlap"]
    assert isinstance(said, dict)
    assert said["shared"] == [
        {"path": "Training/pituitary/c.png", "other": "no/7.jpg", "kind": "near copy", "correlation": 0.95}
    ]
    assert said["classes"][1] == {"label": "pituitary", "shared": 1, "files": 2}
