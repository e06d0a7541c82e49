from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.discovery.folders import find_scans
from brainslice.dataset.discovery.patient_folders import ScanFile
from brainslice.dataset.splits import groups
from brainslice.dataset.splits.groups import HashedScan, group_scans, hash_scan
from brainslice.dataset.splits.known_datasets import KnownScan, known_scans
from brainslice.errors import DatasetError
from brainslice.labels import LabelSet
from brainslice.progress import silent

pytestmark = pytest.mark.usefixtures("looking_for_copies_once")

TABLE = list(known_scans().values())


@pytest.fixture(scope="module")
def seen(drawn: Path) -> tuple[HashedScan, ...]:
    scans, unreadable = hash_scan(find_scans(drawn, LabelSet()).scans, silent)
    assert not unreadable
    return scans


def labels_of(scans: tuple[HashedScan, ...]) -> np.ndarray:
    return np.array([LabelSet().index(scan.found.label) for scan in scans])


def posing(scan: HashedScan, known: KnownScan) -> HashedScan:
    """Give a drawn head the name and the fingerprint of a known scan."""
    found = dataclasses.replace(scan.found, source=f"Training/{known.name}.jpg")
    return dataclasses.replace(scan, found=found, perceptual_hash=known.perceptual_hash)


def test_every_scan_is_read_once_and_in_order(drawn: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    found = find_scans(drawn, LabelSet()).scans
    scans, _ = hash_scan(found, lambda *news: heard.append(news))
    assert [scan.found for scan in scans] == list(found)
    assert heard[-1] == ("reading scans", len(found), len(found))


def test_what_cannot_be_read_is_listed_with_its_fault_and_the_rest_is_read(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    good = find_scans(drawn, LabelSet()).scans[0]
    broken = ScanFile(tmp_path / "broken.png", "glioma/broken.png", "glioma", None)
    odd = ScanFile(tmp_path / "odd\udcff.png", "glioma/odd\udcff.png", "glioma", None)
    scans, unreadable = hash_scan([broken, good, odd], silent)
    assert [scan.found for scan in scans] == [good]
    assert [source for source, _ in unreadable] == ["glioma/broken.png", "glioma/odd?.png"]
    assert str(tmp_path / "broken.png") in unreadable[0][1]
    assert "UTF-8" in unreadable[1][1]
    assert all(reason.isprintable() and reason.isascii() for _, reason in unreadable)


def test_copies_share_a_group_and_folds_never_divide_one(seen: tuple[HashedScan, ...]) -> None:
    found = group_scans(None, seen, labels_of(seen), 4, 0, silent)
    assert (found.origin, found.known_scans) == ("audit", False)
    group_of = {scan.found.source: group for scan, group in zip(seen, found.groups, strict=True)}
    assert group_of["Training/glioma/glioma_000_01.png"] == group_of["Testing/glioma/glioma_900_01.png"]
    fold_of = dict(zip(found.groups, found.folds, strict=True))
    assert all(fold_of[group] == fold for group, fold in zip(found.groups, found.folds, strict=True))
    assert set(found.folds) == {0, 1, 2, 3}


def test_a_table_of_patients_beside_the_set_is_used_and_copies_join_patients(
    seen: tuple[HashedScan, ...], tmp_path: Path
) -> None:
    first, copy = "Training/glioma/glioma_000_01.png", "Testing/glioma/glioma_900_01.png"
    third = "Training/pituitary/pituitary_001_00.png"
    (tmp_path / "groups.csv").write_text(f"\ufeffpath,group\n{first},Ann\n{copy},Ben\n{third},Ben\n", encoding="utf-8")
    found = group_scans(tmp_path / "groups.csv", seen, labels_of(seen), 4, 0, silent)
    assert found.origin == "table"
    group_of = {scan.found.source: group for scan, group in zip(seen, found.groups, strict=True)}
    assert group_of[first] == group_of[copy] == group_of[third]
    assert group_of[first] in {"Ann", "Ben"}
    assert len(set(found.groups)) > 10


@pytest.mark.parametrize("content", [b"a,b\na.png,1\n", b"path,group\na.png\n", b"\xff\xfe\x00", b'path,group\n"\r'])
def test_a_groups_file_of_another_kind_is_refused(seen: tuple[HashedScan, ...], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "groups.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"groups\.csv: must be a table"):
        group_scans(tmp_path / "groups.csv", seen, labels_of(seen), 4, 0, silent)


def test_the_known_set_has_the_groups_and_folds_of_its_table(
    seen: tuple[HashedScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(groups, "find_duplicates")
    known = TABLE[:: len(TABLE) // len(seen)][: len(seen)]
    scans = tuple(posing(scan, row) for scan, row in zip(seen, known, strict=True))
    found = group_scans(None, scans, labels_of(scans), 5, 0, silent)
    assert (found.origin, found.known_scans) == ("table", True)
    assert found.groups == tuple(row.group for row in known)
    assert found.folds == tuple(row.fold for row in known)


def test_a_stranger_in_the_known_set_joins_the_group_of_its_copy(seen: tuple[HashedScan, ...]) -> None:
    sources = [scan.found.source for scan in seen]
    stranger, original = (
        sources.index("Testing/glioma/glioma_900_01.png"),
        sources.index("Training/glioma/glioma_000_01.png"),
    )
    other = sources.index("Testing/meningioma/meningioma_004_01.png")
    known = TABLE[:: len(TABLE) // len(seen)][: len(seen)]
    scans = tuple(
        scan if place in {stranger, other} else posing(scan, row)
        for place, (scan, row) in enumerate(zip(seen, known, strict=True))
    )
    found = group_scans(None, scans, labels_of(scans), 5, 0, silent)
    assert found.known_scans
    assert found.groups[stranger] == found.groups[original]
    assert found.folds[stranger] == found.folds[original]
    fold_of = dict(zip(found.groups, found.folds, strict=True))
    assert all(fold_of[group] == fold for group, fold in zip(found.groups, found.folds, strict=True))


def test_another_number_of_folds_is_dealt_from_the_tables_groups(seen: tuple[HashedScan, ...]) -> None:
    known = TABLE[:: len(TABLE) // len(seen)][: len(seen)]
    scans = tuple(posing(scan, row) for scan, row in zip(seen, known, strict=True))
    found = group_scans(None, scans, labels_of(scans), 3, 0, silent)
    assert set(found.folds) == {0, 1, 2}
    assert found.groups == tuple(row.group for row in known)
