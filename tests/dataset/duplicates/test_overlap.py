from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.discovery.patient_folders import ScanFile
from brainslice.dataset.duplicates import overlap
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind
from brainslice.dataset.duplicates.overlap import BINARY_LABELS, exclude_overlap, find_overlap_pairs, find_site_scans
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.dataset.splits.groups import HashedScan, hash_scan
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.errors import DatasetError
from brainslice.labels import LabelSet
from brainslice.phantom import draw_phantom
from brainslice.progress import silent


@pytest.fixture(scope="module")
def manifest(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return prepare_dataset(drawn, tmp_path_factory.mktemp("project"), PreparationOptions(folds=3)).manifest


@pytest.fixture
def site(manifest: Manifest, tmp_path: Path) -> Path:
    """One copied file, one mirrored copy, and two heads that nobody knows."""
    root = tmp_path / "elsewhere"
    (root / "yes").mkdir(parents=True)
    (root / "no").mkdir()
    glioma, healthy = (
        next(r for r in manifest.records if r.label == label and "_00" in r.path) for label in ("glioma", "no_tumor")
    )
    shutil.copyfile(manifest.root / glioma.path, root / "yes" / "copied.png")
    with Image.open(manifest.root / healthy.path) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "no" / "mirrored.png")
    for label, kind in (("yes", "meningioma"), ("no", "no_tumor")):
        Image.fromarray(draw_phantom(kind, 77, 0, 9).pixels).save(root / label / "new.png")
    return root


def seen_of(folder: Path) -> tuple[HashedScan, ...]:
    _, found = find_site_scans(folder, LabelSet())
    return hash_scan(found, silent)[0]


def test_copies_are_found_whatever_was_done_to_them(manifest: Manifest, site: Path, tmp_path: Path) -> None:
    seen = seen_of(site)
    found = find_overlap_pairs(manifest, seen, tmp_path / "cache")
    kinds = {(seen[each.scan].found.path.name, each.kind) for each in found}
    assert {name for name, _ in kinds} == {"copied.png", "mirrored.png"}
    assert ("copied.png", DuplicateKind.SAME_PIXELS) in kinds
    assert ("mirrored.png", DuplicateKind.MIRRORED) in kinds
    assert all(manifest.records[each.record].label in {"glioma", "no_tumor"} for each in found)


def test_every_record_with_the_same_pixels_is_named(manifest: Manifest, site: Path, tmp_path: Path) -> None:
    seen = seen_of(site)
    twice = replace(
        manifest, records=(*manifest.records, *(replace(r, path=f"again/{r.path}") for r in manifest.records))
    )
    for record in manifest.records:
        place = manifest.root / "again" / record.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to((manifest.root / record.path).resolve())
    found = find_overlap_pairs(twice, seen, tmp_path / "cache")
    once = find_overlap_pairs(manifest, seen, tmp_path / "cache")
    assert len(found) == 2 * len(once)
    shutil.rmtree(manifest.root / "again")


def test_found_pairs_are_cached(
    manifest: Manifest, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_of(site)
    first = find_overlap_pairs(manifest, seen, tmp_path / "cache")
    monkeypatch.delattr(overlap, "find_duplicates")
    assert find_overlap_pairs(manifest, seen, tmp_path / "cache") == first


def test_excluding_takes_whole_groups_out_of_training_and_validation(
    manifest: Manifest, site: Path, tmp_path: Path
) -> None:
    without = exclude_overlap(manifest, site, tmp_path / "cache")
    assert without.exclusion is not None
    assert without.exclusion.against == "elsewhere"
    groups = {record.group for record, out in zip(without.records, without.excluded, strict=True) if out}
    assert {r.group for r in manifest.records if r.path in without.exclusion.paths} == groups
    assert all(record.path in without.exclusion.paths for record in manifest.records if record.group in groups)
    split, whole = make_split(without, Protocol.CLEAN), make_split(manifest, Protocol.CLEAN)
    assert not without.excluded[np.concatenate([split.train, split.validation])].any()
    assert np.array_equal(split.test, whole.test)
    assert without.digest != manifest.digest
    assert split.digest != whole.digest


def test_the_exclusion_is_read_with_the_manifest_until_the_set_is_prepared_again(
    drawn: Path, site: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    manifest = prepare_dataset(drawn, project, PreparationOptions(folds=3)).manifest
    exclude_overlap(manifest, site, tmp_path / "cache").write(manifest.root)
    assert Manifest.read(manifest.root).exclusion is not None
    prepare_dataset(drawn, project, PreparationOptions(folds=3))
    assert Manifest.read(manifest.root).exclusion is None


def test_a_folder_of_classes_tells_classes_and_one_of_neither_kind_is_refused(drawn: Path, tmp_path: Path) -> None:
    labels, found = find_site_scans(drawn / "Training", LabelSet())
    assert labels == LabelSet()
    assert all(isinstance(scan, ScanFile) for scan in found)
    (tmp_path / "odd").mkdir()
    with pytest.raises(DatasetError, match="yes and no, or glioma"):
        find_site_scans(tmp_path, LabelSet())
    assert BINARY_LABELS.healthy == "no"


def test_a_prepared_scan_that_is_gone_is_named(manifest: Manifest, site: Path, tmp_path: Path) -> None:
    lost = replace(manifest, root=tmp_path)
    with pytest.raises(DatasetError, match="run brainslice prepare again"):
        find_overlap_pairs(lost, seen_of(site), tmp_path / "cache")
