from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.audit.audit import audit_folder
from brainslice.dataset.audit.report import AuditReport
from brainslice.dataset.duplicates.gallery import choose_pairs, draw_pairs
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair, connected_groups


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=float)


@pytest.fixture(scope="module")
def report(drawn: Path) -> AuditReport:
    return audit_folder(drawn)


def test_pairs_across_splits_come_first_and_kinds_take_turns(report: AuditReport) -> None:
    chosen = choose_pairs(report, 3)
    assert {twin.kind for twin in chosen} == {DuplicateKind.IDENTICAL, DuplicateKind.NEAR, DuplicateKind.MIRRORED}
    assert all(report.files[twin.first].split != report.files[twin.second].split for twin in chosen)


def test_each_group_is_shown_once_before_any_is_shown_twice(report: AuditReport) -> None:
    pairs = [(0, 1), (0, 2), (0, 3), (0, 4), (5, 6)]
    twins = tuple(DuplicatePair(first, second, DuplicateKind.NEAR, 0.95) for first, second in pairs)
    many = dataclasses.replace(report, duplicates=twins, groups=connected_groups(len(report.files), twins))
    assert {twin.first for twin in choose_pairs(many, 2)} == {0, 5}
    assert len(choose_pairs(many, 100)) == len(twins)


def test_the_picture_shows_both_scans_of_each_pair(report: AuditReport, tmp_path: Path) -> None:
    identical = dataclasses.replace(
        report, duplicates=tuple(t for t in report.duplicates if t.kind == DuplicateKind.IDENTICAL)[:1]
    )
    draw_pairs(identical, tmp_path / "pairs.png")
    sheet = grey(tmp_path / "pairs.png")
    assert sheet.shape[0] > 200
    left, right = sheet[36:228, 6:198], sheet[36:228, 204:396]
    assert np.array_equal(left, right)
    assert left.std() > 20


def test_the_picture_grows_with_its_pairs_up_to_the_limit(report: AuditReport, tmp_path: Path) -> None:
    sizes = []
    for limit in (1, 3, 12):
        draw_pairs(report, tmp_path / "pairs.png", limit)
        sizes.append(grey(tmp_path / "pairs.png").shape)
    assert sizes[0][1] * 3 == sizes[1][1] == sizes[2][1]
    assert sizes[0][0] == sizes[1][0] < sizes[2][0]


def test_a_report_without_pairs_and_one_whose_files_are_gone_are_drawn_too(report: AuditReport, tmp_path: Path) -> None:
    draw_pairs(dataclasses.replace(report, duplicates=()), tmp_path / "none.png")
    assert grey(tmp_path / "none.png").shape[1] > 100
    draw_pairs(dataclasses.replace(report, folder=tmp_path / "gone"), tmp_path / "gone.png", 1)
    sheet = grey(tmp_path / "gone.png")
    assert sheet[100, 100] == sheet[100, 300] > 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone.png", "none.png"]


def test_long_and_odd_names_neither_break_nor_overlap(report: AuditReport, tmp_path: Path) -> None:
    names = ["a" * 200 + ".png", "\u6838\u78c1\n\u5171\u9e23.png"]
    files = tuple(dataclasses.replace(file, path=name) for file, name in zip(report.files, names, strict=False))
    odd = dataclasses.replace(
        report, files=files, duplicates=(DuplicatePair(0, 1, DuplicateKind.ROTATED, 0.93),), groups=np.zeros(2, int)
    )
    draw_pairs(odd, tmp_path / "odd.png")
    sheet = grey(tmp_path / "odd.png")
    assert (sheet[228:, 198:204] == 255).all()
