from __future__ import annotations

import csv
import errno
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from brainslice.dataset.manifest import Manifest
from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.dataset.splits.known_datasets import find_mask, known_scans
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.errors import DatasetError, ResourceError, UsageError
from brainslice.labels import LabelSet
from brainslice.lock import exclusive_lock
from brainslice.paths import LOCK_FILE

pytestmark = pytest.mark.usefixtures("looking_for_copies_once")

FILES = {"train", "val", "test", "manifest.csv", "dataset.json"}


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_downloaded_folder_becomes_a_set_to_train_on(drawn: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    prepared = prepare_dataset(drawn, tmp_path, progress=lambda *news: heard.append(news))
    manifest = prepared.manifest
    assert {path.name for path in (tmp_path / "data").iterdir()} == FILES
    assert Manifest.read(tmp_path / "data") == manifest
    assert (manifest.name, manifest.phantom, manifest.official_split) == ("phantom", True, True)
    assert prepared.unreadable == ()
    assert heard[-1] == ("placing scans", len(manifest.records), len(manifest.records))
    for record, path in zip(manifest.records, manifest.paths, strict=True):
        assert path.relative_to(manifest.root).parts[:2] == (record.split, record.label)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == record.sha256
        assert path.resolve() == (drawn / record.source).resolve()


def test_the_sets_own_test_folder_is_kept_and_a_tenth_of_training_validates_by_whole_groups(
    source: Path, group_of: dict[str, int], tmp_path: Path
) -> None:
    def relatives(scan: Path) -> int:
        return group_of[hashlib.sha256(scan.read_bytes()).hexdigest()]

    trained = {relatives(scan) for scan in (source / "Training").rglob("*.*")}
    kept = {max(relatives(scan) for scan in folder.iterdir()) for folder in (source / "Testing").iterdir()}
    for scan in [*(source / "Training").rglob("*.*"), *(source / "Testing").rglob("*.*")]:
        if (scan.parts[-3] == "Testing") != (relatives(scan) in kept):
            scan.unlink()
    assert trained & kept
    manifest = prepare_dataset(source, tmp_path / "project", PreparationOptions(val_size=0.25)).manifest
    assert all((record.split == "test") == record.source.startswith("Testing/") for record in manifest.records)
    count = Counter((record.split, record.label) for record in manifest.records)
    for label in manifest.labels.names:
        assert 0 < count["val", label] <= count["train", label] / 2
    assert not make_split(manifest, Protocol.OFFICIAL).leaky
    assert not make_split(manifest, Protocol.CLEAN).leaky


def test_where_most_test_scans_have_relatives_in_training_single_scans_validate(drawn: Path, tmp_path: Path) -> None:
    split = make_split(prepare_dataset(drawn, tmp_path, PreparationOptions(val_size=0.25)).manifest, Protocol.OFFICIAL)
    assert split.crossing > len(split.test) / 2
    assert split.crossing_validation > 0


def test_a_single_root_of_class_folders_is_divided_by_groups(source: Path, tmp_path: Path) -> None:
    for label in ("glioma", "meningioma", "notumor", "pituitary"):
        shutil.copytree(source / "Training" / label, tmp_path / "flat" / label)
    manifest = prepare_dataset(tmp_path / "flat", tmp_path, PreparationOptions(folds=3)).manifest
    assert (manifest.official_split, manifest.name, manifest.groups_from) == (False, "flat", "audit")
    assert {record.split for record in manifest.records} == {"train", "val", "test"}
    assert not make_split(manifest, Protocol.OFFICIAL).leaky


def test_a_validation_folder_of_the_set_is_taken_as_it_is(source: Path, tmp_path: Path) -> None:
    for label in ("glioma", "meningioma", "notumor", "pituitary"):
        folder = source / "valid" / label
        folder.mkdir(parents=True)
        scan = min((source / "Training" / label).iterdir())
        scan.rename(folder / scan.name)
    manifest = prepare_dataset(source, tmp_path).manifest
    assert {record.source.split("/")[0] for record in manifest.records if record.split == "val"} == {"valid"}
    assert sum(record.split == "val" for record in manifest.records) == 4


def test_the_same_seed_gives_the_same_set_and_another_seed_another(drawn: Path, tmp_path: Path) -> None:
    first, second, third = (
        prepare_dataset(drawn, tmp_path / str(number), PreparationOptions(seed=seed)).manifest.digest
        for number, seed in enumerate((42, 42, 43))
    )
    assert first == second != third


def test_copies_do_not_depend_on_the_source(source: Path, tmp_path: Path) -> None:
    prepared = prepare_dataset(source, tmp_path, PreparationOptions(copy=True))
    shutil.rmtree(source)
    assert not prepared.linked
    assert all(path.is_file() and not path.is_symlink() for path in prepared.manifest.paths)


def test_an_archive_serves_as_well_as_a_folder(drawn: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "heads"), "zip", drawn.parent))
    prepared = prepare_dataset(archive, tmp_path / "project")
    assert prepared.manifest.digest == prepare_dataset(drawn, tmp_path / "other").manifest.digest
    assert all(path.is_file() for path in prepared.manifest.paths)
    assert {path.name for path in (tmp_path / "project").iterdir()} == {"data", "data_source"}


def test_tumour_outlines_are_found_and_belong_to_their_scans(drawn: Path, tmp_path: Path) -> None:
    manifest = prepare_dataset(drawn, tmp_path).manifest
    assert manifest.masks == str((drawn / "masks").resolve())
    for record in manifest.records:
        found = find_mask(manifest, record)
        assert (found is None) == (record.label == "no_tumor")
        if found is None:
            continue
        assert found == (drawn / "masks" / f"{Path(record.source).stem}.png", False)
        with Image.open(found[0]) as mask, Image.open(manifest.root / record.path) as scan:
            assert mask.size == scan.size


def test_unreadable_files_are_listed_and_the_rest_is_prepared(source: Path, tmp_path: Path) -> None:
    (source / "Training" / "glioma" / "broken.JPG").write_bytes(b"not a picture")
    (source / "Testing" / "notumor" / "empty.png").touch()
    prepared = prepare_dataset(source, tmp_path)
    assert [name for name, _ in prepared.unreadable] == ["Testing/notumor/empty.png", "Training/glioma/broken.JPG"]
    assert all(str(source / name) in reason for name, reason in prepared.unreadable)
    assert len(prepared.manifest.records) == 52
    assert prepared.summary_lines()[-1] == "2 unreadable files were left out"


def test_a_class_of_unreadable_files_only_is_refused(source: Path, tmp_path: Path) -> None:
    for scan in (source / "Testing" / "glioma").iterdir():
        scan.write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"\(test\): none of the files of class glioma can be read"):
        prepare_dataset(source, tmp_path / "project")
    assert not (tmp_path / "project" / "data").exists()


def test_files_of_one_name_in_one_class_keep_apart(source: Path, tmp_path: Path) -> None:
    scan = source / "Training" / "glioma" / "glioma_000_00.png"
    (scan.parent / "deeper").mkdir()
    shutil.copy(source / "Training" / "glioma" / "glioma_001_00.png", scan.parent / "deeper" / "GLIOMA_000_00.PNG")
    manifest = prepare_dataset(source, tmp_path).manifest
    names = [record.path.casefold() for record in manifest.records]
    assert len(set(names)) == len(names) == 53


@pytest.mark.parametrize("spoil", ["Training/pituitary", "Testing/meningioma"])
def test_a_missing_class_folder_is_refused_and_the_older_set_stays(source: Path, tmp_path: Path, spoil: str) -> None:
    project = tmp_path / "project"
    prepare_dataset(source, project, PreparationOptions(copy=True))
    before = everything(project)
    shutil.rmtree(source / spoil)
    with pytest.raises(DatasetError, match=f"holds no scans of {Path(spoil).name}"):
        prepare_dataset(source, project)
    assert everything(project) == before


def test_a_new_set_replaces_the_older_one_and_nothing_else(drawn: Path, source: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    prepare_dataset(drawn, project)
    (project / "data" / "external_navoneel").mkdir()
    (project / "data" / "notes.txt").write_text("mine")
    (source / "Training" / "glioma" / "glioma_000_00.png").unlink()
    prepared = prepare_dataset(source, project)
    assert {path.name for path in (project / "data").iterdir()} == FILES | {"external_navoneel", "notes.txt"}
    placed = [p for split in ("train", "val", "test") for p in (project / "data" / split).rglob("*.*")]
    assert len(placed) == len(prepared.manifest.records) == 51


@pytest.mark.parametrize("where", ["place_scan", "manifest"])
def test_a_full_disk_is_one_line_and_the_older_set_stays(
    drawn: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    project = tmp_path / "project"
    prepare_dataset(drawn, project, PreparationOptions(copy=True))
    before = everything(project)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if where == "manifest":
            patch.setattr(Path, "write_text", full)
        else:
            patch.setattr(shutil, "copyfile", full)
        with pytest.raises(ResourceError, match="no space left on the disk") as caught:
            prepare_dataset(source, project, PreparationOptions(copy=True))
    assert "\n" not in str(caught.value)
    assert everything(project) == before


def test_preparing_a_set_from_its_own_folder_is_refused(drawn: Path, tmp_path: Path) -> None:
    prepare_dataset(drawn, tmp_path)
    before = everything(tmp_path)
    with pytest.raises(DatasetError, match="is what preparing replaces"):
        prepare_dataset(tmp_path / "data", tmp_path)
    assert everything(tmp_path) == before


def test_a_set_prepared_with_copies_can_be_prepared_again_elsewhere_and_stays_a_phantom(
    drawn: Path, tmp_path: Path
) -> None:
    prepare_dataset(drawn, tmp_path / "a", PreparationOptions(copy=True))
    second = prepare_dataset(tmp_path / "a" / "data", tmp_path / "b").manifest
    assert second.phantom
    assert all(record.split == record.source.split("/")[0] for record in second.records)


@pytest.mark.parametrize("said", ['{"name": "nickparvar"}', '{"name": 5}', "[]", "no json", '{"name": "a\\nb"}'])
def test_a_name_that_a_set_cannot_bear_is_not_taken(source: Path, tmp_path: Path, said: str) -> None:
    (source / "dataset.json").write_text(said)
    manifest = prepare_dataset(source, tmp_path).manifest
    assert manifest.name in {"source", "nickparvar (not recognised)"}


def test_the_summary_says_how_far_the_sets_own_split_can_be_trusted(drawn: Path, tmp_path: Path) -> None:
    lines = prepare_dataset(drawn, tmp_path).summary_lines()
    assert lines[0].startswith("phantom: 52 scans in ")
    assert any(line.startswith("official split: ") and "of 16 test scans have relatives" in line for line in lines)
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("choice", "fault"),
    [({"val_size": 0.0}, "share must be"), ({"val_size": 0.6}, "share must be"), ({"folds": 2}, "folds must be")],
)
def test_choices_that_cannot_be_meant_are_usage_errors(choice: dict[str, float], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        PreparationOptions(**choice)


def test_two_classes_make_a_set_too(source: Path, tmp_path: Path) -> None:
    for split in ("Training", "Testing"):
        for label in ("meningioma", "pituitary"):
            shutil.rmtree(source / split / label)
    manifest = prepare_dataset(source, tmp_path, PreparationOptions(labels=LabelSet(("no_tumor", "glioma")))).manifest
    assert set(manifest.label_indices.tolist()) == {0, 1}
    assert json.loads((tmp_path / "data" / "dataset.json").read_text())["class_names"] == ["no_tumor", "glioma"]


@pytest.mark.real
def test_a_sample_of_the_real_set_gets_its_patients_and_masks(real_scans: Path, tmp_path: Path) -> None:
    with (real_scans / "nickparvar_groups.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    sample = sorted(rows)[::40]
    for name in sample:
        target = tmp_path / "set" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(real_scans / "nickparvar" / name)
    (tmp_path / "tumour_masks").symlink_to(real_scans / "tumour_masks")
    manifest = prepare_dataset(tmp_path / "set", tmp_path / "project").manifest
    assert (manifest.name, manifest.groups_from, len(manifest.records)) == ("nickparvar", "table", len(sample))
    for record in manifest.records:
        row, known = rows[record.source], known_scans()[Path(record.source).stem.casefold()]
        assert (record.label, record.group, record.fold) == (row["class"], known.group, known.fold)
        assert (record.split == "test") == (row["split"] == "Testing")
        mask = find_mask(manifest, record)
        assert (mask[0].name if mask else "") == row["mask"]
        assert not mask or mask[1] == (row["mirrored"] == "1")


def test_two_runs_never_prepare_one_project(drawn: Path, tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / LOCK_FILE, "preparing data"),
        pytest.raises(UsageError, match=r"process \d+ on .* is preparing data since .*; wait until it ends"),
    ):
        prepare_dataset(drawn, tmp_path)
    assert not list(tmp_path.iterdir())
