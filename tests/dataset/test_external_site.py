from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.external_site import SourceData, read_external_site, site_inputs
from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.errors import DatasetError
from brainslice.labels import LabelSet
from brainslice.phantom import write_external_site
from brainslice.preprocessing.recipe import Recipe


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "elsewhere"
    write_external_site(folder, heads_per_kind=6, slices=1, seed=2)
    return folder


@pytest.fixture
def site(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "elsewhere"))


def test_each_picture_counts_once_however_often_it_is_there(site: Path) -> None:
    shutil.copyfile(site / "yes" / "yes_000_00.jpg", site / "yes" / "copied.jpg")
    with Image.open(site / "no" / "no_001_00.jpg") as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save(site / "no" / "turned.png")
    found = read_external_site(site, LabelSet(), None)
    assert (found.files, len(found.scans), found.copies) == (14, 12, 2)
    assert found.binary
    assert int(found.tumours.sum()) == 6
    assert found.overlapping is None
    assert "were not left out" in found.summary_lines()[1]


def test_a_picture_in_folders_of_both_kinds_is_left_out(site: Path) -> None:
    shutil.copyfile(site / "yes" / "yes_000_00.jpg", site / "no" / "odd.jpg")
    found = read_external_site(site, LabelSet(), None)
    assert (found.conflicts, len(found.scans)) == (1, 11)
    assert "both kinds: 1" in found.summary_lines()[-1]


def test_training_images_of_the_model_are_left_out_and_counted(drawn: Path, site: Path, tmp_path: Path) -> None:
    manifest = prepare_dataset(drawn, tmp_path / "project", PreparationOptions(folds=3)).manifest
    glioma = next(place for place, record in enumerate(manifest.records) if record.label == "glioma")
    shutil.copyfile(manifest.paths[glioma], site / "yes" / "known.png")
    everything = np.arange(len(manifest.records))
    found = read_external_site(site, LabelSet(), SourceData(manifest, everything, tmp_path / "cache"))
    assert found.overlapping == (1, 0)
    assert len(found.scans) == 12
    assert "1 tumour, 0 healthy" in found.summary_lines()[1]
    others = np.array([p for p, r in enumerate(manifest.records) if r.group != manifest.records[glioma].group])
    unseen = read_external_site(site, LabelSet(), SourceData(manifest, others, tmp_path / "cache"))
    assert unseen.overlapping == (0, 0)
    assert len(unseen.scans) == 13


def test_a_site_left_with_one_kind_is_refused_with_a_remedy(drawn: Path, tmp_path: Path) -> None:
    manifest = prepare_dataset(drawn, tmp_path / "project", PreparationOptions(folds=3)).manifest
    site = tmp_path / "same"
    for label, kind in (("yes", "glioma"), ("no", "no_tumor")):
        (site / label).mkdir(parents=True)
        record = next(r for r in manifest.records if r.label == kind)
        shutil.copyfile(manifest.root / record.path, site / label / "one.png")
    source = SourceData(manifest, np.arange(len(manifest.records)), tmp_path / "cache")
    with pytest.raises(DatasetError, match="--exclude-overlap-with"):
        read_external_site(site, LabelSet(), source)


def test_unreadable_files_are_named_and_do_not_stop_it(site: Path) -> None:
    (site / "no" / "broken.png").write_bytes(b"no picture")
    found = read_external_site(site, LabelSet(), None)
    assert [source for source, _ in found.unreadable] == ["no/broken.png"]


def test_scans_become_network_input_in_their_order(site: Path) -> None:
    found = read_external_site(site, LabelSet(), None)
    inputs = site_inputs(found, Recipe(size=64))
    assert inputs.shape == (12, 64, 64)
    assert inputs.std(axis=(1, 2)).min() > 1


@pytest.mark.real
@pytest.mark.slow
def test_the_public_external_set_holds_about_200_pictures(real_scans: Path) -> None:
    found = read_external_site(real_scans / "navoneel", LabelSet(), None)
    assert found.files == 253
    assert 190 <= len(found.scans) <= 215
    assert 120 <= int(found.tumours.sum()) <= 135
