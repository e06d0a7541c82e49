from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import UsageError
from brainslice.phantom import draw_phantom, write_external_site, write_phantoms

FOLDERS = {"glioma", "meningioma", "notumor", "pituitary"}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "set"
    write_phantoms(folder, patients_per_class=8, slices=2, seed=3)
    return folder


def pictures(folder: Path, side: str) -> list[Path]:
    return sorted(path for path in (folder / side).rglob("*") if path.is_file())


def greys(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, dtype=float)


def groups(folder: Path) -> dict[str, str]:
    with (folder / "groups.csv").open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["group"] for row in csv.DictReader(stream)}


def test_the_layout_is_that_of_the_set_people_download(phantoms: Path) -> None:
    for side in ("Training", "Testing"):
        assert {path.name for path in (phantoms / side).iterdir()} == FOLDERS
    content = json.loads((phantoms / "dataset.json").read_text(encoding="utf-8"))
    assert content == {"schema": "brainslice/phantom/1", "name": "phantom"}
    assert len(pictures(phantoms, "Training")) == 4 * (7 * 2 - 1)
    assert len(pictures(phantoms, "Testing")) == 4 * (2 + 1 + 3)


def test_every_tumour_and_nothing_else_has_a_mask_of_its_own_size(phantoms: Path) -> None:
    drawn = pictures(phantoms, "Training") + pictures(phantoms, "Testing")
    tumours = {path.stem: path for path in drawn if path.parent.name != "notumor"}
    masks = {path.stem: path for path in (phantoms / "masks").iterdir()}
    assert masks.keys() == tumours.keys()
    for stem, path in masks.items():
        assert greys(path).shape == greys(tumours[stem]).shape
        assert set(np.unique(greys(path))) == {0.0, 255.0}


def test_each_class_has_a_test_picture_that_is_a_training_file_byte_for_byte(phantoms: Path) -> None:
    train, test = (
        {hashlib.sha256(path.read_bytes()).hexdigest(): path.parent.name for path in pictures(phantoms, side)}
        for side in ("Training", "Testing")
    )
    assert Counter(test[digest] for digest in train.keys() & test.keys()) == dict.fromkeys(FOLDERS, 1)


def test_each_class_has_a_mirrored_and_a_reencoded_copy_among_its_test_pictures(phantoms: Path) -> None:
    for kind in FOLDERS:
        source = greys(phantoms / "Training" / kind / f"{kind}_001_01.png")
        np.testing.assert_array_equal(greys(phantoms / "Testing" / kind / f"{kind}_901_01.png"), source[:, ::-1])
        original = phantoms / "Training" / kind / f"{kind}_002_01.png"
        reencoded = phantoms / "Testing" / kind / f"{kind}_902_01.jpg"
        assert np.corrcoef(greys(original).ravel(), greys(reencoded).ravel())[0, 1] > 0.99


def test_a_mirrored_copy_has_a_mirrored_mask(phantoms: Path) -> None:
    first, second = (greys(phantoms / "masks" / f"glioma_{number}_01.png") for number in ("001", "901"))
    np.testing.assert_array_equal(first, second[:, ::-1])


def test_the_official_split_leaks_and_the_table_of_groups_says_so(phantoms: Path) -> None:
    table = groups(phantoms)
    drawn = pictures(phantoms, "Training") + pictures(phantoms, "Testing")
    assert table.keys() == {path.relative_to(phantoms).as_posix() for path in drawn}
    sides = [{table[name] for name in table if name.startswith(side)} for side in ("Training", "Testing")]
    assert len(sides[0] | sides[1]) == 4 * 8
    # One patient a class stands on both sides, three more through their copies; one is for testing only.
    assert len(sides[0] & sides[1]) == 4 * (1 + 3)
    assert len(sides[1] - sides[0]) == 4


def test_a_group_holds_one_class_only(phantoms: Path) -> None:
    table = groups(phantoms)
    assert len({(group, name.split("/")[1]) for name, group in table.items()}) == len(set(table.values()))


def test_progress_hears_of_every_picture_and_an_interruption_leaves_the_previous_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "previous.txt").touch()
    heard: list[tuple[str, int, int]] = []

    def stop(step: str, done: int, total: int) -> None:
        heard.append((step, done, total))
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(folder, patients_per_class=5, slices=2, progress=stop)
    assert heard == [("drawing heads", done, 40) for done in range(1, 6)]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["previous.txt", "set"]


@pytest.mark.parametrize(("patients", "slices"), [(3, 4), (4, 1), (0, 0)])
def test_too_few_heads_to_split_are_refused(tmp_path: Path, patients: int, slices: int) -> None:
    with pytest.raises(UsageError, match="4 patients a class and 2 slices"):
        write_phantoms(tmp_path / "set", patients_per_class=patients, slices=slices)
    assert not (tmp_path / "set").exists()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "elsewhere"
    write_external_site(folder, heads_per_kind=6, slices=2, seed=3)
    return folder


def test_half_of_the_heads_have_a_tumour(site: Path) -> None:
    assert {folder.name: len(list(folder.iterdir())) for folder in site.iterdir()} == {"yes": 12, "no": 12}


def test_another_scanner_shows_greyer_margins_and_more_noise(site: Path) -> None:
    seen = np.asarray(Image.open(site / "no" / "no_000_00.jpg"), float)
    drawn = draw_phantom("no_tumor", 0, 0, 100_006).pixels
    assert drawn[0].mean() < 8 < seen[0].mean()
    assert seen.max() < 250


def test_the_same_seed_draws_the_same_site_and_another_another(site: Path, tmp_path: Path) -> None:
    write_external_site(tmp_path / "again", heads_per_kind=6, slices=2, seed=3)
    write_external_site(tmp_path / "other", heads_per_kind=6, slices=2, seed=4)
    name = "yes/yes_003_01.jpg"
    assert (tmp_path / "again" / name).read_bytes() == (site / name).read_bytes()
    assert (tmp_path / "other" / name).read_bytes() != (site / name).read_bytes()


@pytest.mark.parametrize(("heads", "slices"), [(5, 2), (6, 0)])
def test_a_site_too_small_for_folds_is_refused(heads: int, slices: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 heads a kind"):
        write_external_site(tmp_path / "site", heads, slices)
