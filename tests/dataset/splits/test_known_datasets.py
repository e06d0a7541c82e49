from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.splits.known_datasets import (
    NICKPARVAR,
    find_mask,
    find_masks,
    known_scans,
    perceptual_hash,
    recognise_dataset,
)
from brainslice.labels import LabelSet
from brainslice.scan.read import read_scan

SCANS = list(known_scans().values())


def listed(count: int, *, strangers: int = 0) -> list[tuple[str, int]]:
    """Names and fingerprints of known scans, elsewhere and with other endings, and of unknown ones."""
    known = [(f"a/{scan.name.upper()}.PNG", scan.perceptual_hash ^ 0b101) for scan in SCANS[:count]]
    return known + [(f"stranger {number}.png", number) for number in range(strangers)]


def manifest(name: str, masks: Path | None, source: str) -> Manifest:
    record = Record("train/glioma/a.jpg", "0", "0", "glioma", "g", "train", 0, source)
    return Manifest(
        Path(),
        name,
        LabelSet(),
        "table",
        official_split=True,
        records=(record,),
        masks=str(masks) if masks else None,
    )


def test_the_table_knows_seven_thousand_scans_in_five_folds_that_no_group_crosses() -> None:
    assert len(SCANS) == 7023
    fold_of = {scan.group: scan.fold for scan in SCANS}
    assert len(fold_of) == 632
    assert all(fold_of[scan.group] == scan.fold for scan in SCANS)
    assert sorted(set(fold_of.values())) == [0, 1, 2, 3, 4]
    assert sum(bool(scan.mask) for scan in SCANS) == 4750


@pytest.mark.parametrize(
    ("one", "other"),
    [("Te-no_0208", "Tr-no_0721"), ("Te-no_0398", "Tr-no_1392"), ("Tr-no_1188", "Tr-no_1465")],
)
def test_turned_copies_are_of_one_group(one: str, other: str) -> None:
    assert known_scans()[one.casefold()].group == known_scans()[other.casefold()].group


def test_the_set_is_recognised_whatever_its_folders_and_endings() -> None:
    assert recognise_dataset(listed(200)) == tuple(SCANS[:200])


def test_a_few_strangers_are_told_from_the_known() -> None:
    found = recognise_dataset(listed(95, strangers=5))
    assert found is not None
    assert found[:95] == tuple(SCANS[:95])
    assert found[95:] == (None,) * 5


def test_many_strangers_make_another_set() -> None:
    assert recognise_dataset(listed(94, strangers=6)) is None
    assert recognise_dataset([]) is None


def test_known_names_on_other_pictures_are_strangers() -> None:
    assert recognise_dataset([(scan.name, ~scan.perceptual_hash & (2**64 - 1)) for scan in SCANS[:50]]) is None


def test_fingerprints_survive_rescaling_and_re_encoding() -> None:
    distances = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 255, (7, 7), dtype=np.uint8)).resize(
            (288, 230), Image.Resampling.BICUBIC
        )
        side, stored = int(rng.integers(100, 400)), io.BytesIO()
        coarse.resize((side, side), Image.Resampling.BILINEAR).save(stored, "JPEG", quality=int(rng.integers(40, 95)))
        with Image.open(stored) as again:
            before, after = (perceptual_hash(np.asarray(picture, dtype=np.float32)) for picture in (coarse, again))
        distances.append((before ^ after).bit_count())
    # A set is recognised by 95 % of its pictures; two different heads are 27 bits apart on average.
    assert np.quantile(distances, 0.97) <= 8


def test_flat_pictures_have_a_fingerprint_too() -> None:
    assert perceptual_hash(np.zeros((1, 1), dtype=np.float32)) == 0
    assert perceptual_hash(np.full((9, 700), 3e38, dtype=np.float32)).bit_count() >= 1


def test_a_mask_of_a_drawn_head_has_the_scans_own_name(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "p1.png").touch()
    masks = find_masks(tmp_path, "phantom", ["Training/glioma/p1.jpg", "Testing/glioma/p2.png"])
    assert masks == tmp_path / "masks"
    found = manifest("phantom", masks, "Training/glioma/p1.jpg")
    assert find_mask(found, found.records[0]) == (tmp_path / "masks" / "p1.png", False)
    without = manifest("phantom", masks, "Testing/glioma/p2.png")
    assert find_mask(without, without.records[0]) is None


def test_a_folder_without_masks_of_these_scans_is_none(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "else.png").touch()
    assert find_masks(tmp_path, "some", ["a.png"]) is None
    found = manifest("some", None, "a.png")
    assert find_mask(found, found.records[0]) is None


def test_masks_of_the_known_set_come_from_the_table(tmp_path: Path) -> None:
    masked = next(scan for scan in SCANS if scan.mask and scan.mirrored)
    healthy = next(scan for scan in SCANS if not scan.mask)
    source, masks = tmp_path / "set", tmp_path / "tumour_masks"
    source.mkdir()
    masks.mkdir()
    (masks / masked.mask).touch()
    assert find_masks(source, NICKPARVAR, [f"{masked.name}.jpg"]) == masks
    found = manifest(NICKPARVAR, masks, f"Training/glioma/{masked.name}.jpg")
    assert find_mask(found, found.records[0]) == (masks / masked.mask, True)
    without = manifest(NICKPARVAR, masks, f"Training/notumor/{healthy.name}.jpg")
    assert find_mask(without, without.records[0]) is None


@pytest.mark.real
def test_the_shipped_table_is_the_list_of_groups_some_of_them_joined(real_scans: Path) -> None:
    with (real_scans / "nickparvar_groups.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    fold_of = {row["group"]: row["fold"] for row in rows}
    joined = {row["group"]: scan.group for scan, row in zip(SCANS, rows, strict=True)}
    for scan, row in zip(SCANS, rows, strict=True):
        assert scan.name == Path(row["path"]).stem
        assert (scan.group, str(scan.fold)) == (joined[row["group"]], fold_of[scan.group])
        assert (scan.mask, scan.mirrored) == (row["mask"], row["mirrored"] == "1")
    assert sum(old != new for old, new in joined.items()) == 668 - 632
    known = {row["group"] for row in rows if row["patient_known"] == "1"}
    assert len({joined[group] for group in known}) == len(known)


@pytest.mark.real
def test_real_scans_bear_their_fingerprints_after_rescaling(real_scans: Path) -> None:
    files = sorted((real_scans / "nickparvar" / "Testing").rglob("*.jpg"))[::50]
    prints = []
    for path in files:
        pixels = read_scan(path).pixels
        larger = Image.fromarray(pixels).resize((512, 512), Image.Resampling.BICUBIC)
        prints.append((path.name, perceptual_hash(np.asarray(larger))))
    found = recognise_dataset(prints)
    assert found is not None
    assert None not in found
