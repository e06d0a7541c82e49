from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.adaptation import ADAPTATION_FILE, HeldOutPrediction
from brainslice.bundle.store import update_bundle
from brainslice.dataset.duplicates.fingerprint import compute_fingerprint
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.errors import CalibrationError, DatasetError, LeakError
from brainslice.evaluation.tuning_data import TuningScans, folder_scans, validation_scans
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.scan.read import read_scan
from other_site import write_site
from stand_in import adaptation_with, config, write_bundle_for


@pytest.fixture
def places(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    write_bundle_for(found, config())
    return found


def sketches(paths: list[Path]) -> list[str]:
    """Hash the decoded pictures of some files."""
    return [compute_fingerprint(read_scan(path)).pixel_hash for path in paths]


def folder(places: ProjectPaths, site: Path, seed: int = 0) -> TuningScans:
    return folder_scans(site, places, Predictor.open(places.bundle), seed)


def test_by_default_the_scans_that_chose_the_temperature_choose_and_no_other(places: ProjectPaths) -> None:
    predictor = Predictor.open(places.bundle)
    scans = validation_scans(places, predictor)
    manifest = Manifest.read(places.data)
    chosen = make_split(manifest, Protocol.CLEAN).validation
    said = [predictor.predict(manifest.paths[place]).tumour_probability for place in chosen]
    np.testing.assert_allclose(scans.tuning.scores, said, atol=1e-6)
    assert scans.tuning.tumour.tolist() == [manifest.records[place].label != "no_tumor" for place in chosen]
    np.testing.assert_array_equal(scans.tuning.groups, manifest.group_indices[chosen])
    assert scans.held_out is None
    assert scans.promising
    assert "flatter" in scans.notes[0]


def test_tuning_opens_no_test_set(places: ProjectPaths, tmp_path: Path) -> None:
    validation_scans(places, Predictor.open(places.bundle))
    folder(places, write_site(tmp_path / "site"))
    assert not places.test_access_log.exists()


def test_validation_scans_with_relatives_in_training_promise_nothing(places: ProjectPaths) -> None:
    manifest = Manifest.read(places.data)
    official = ProjectPaths.of(places.root, config("data.protocol=official"))
    write_bundle_for(official, config("data.protocol=official"))
    split = make_split(manifest, Protocol.OFFICIAL)
    scans = validation_scans(official, Predictor.open(official.bundle))
    assert scans.promising == (split.crossing_validation == 0)
    assert len(scans.notes) == 1 + (split.crossing_validation > 0)


def test_a_bundle_of_another_set_is_refused(places: ProjectPaths) -> None:
    manifest = Manifest.read(places.data)
    dataclasses.replace(manifest, records=manifest.records[1:]).write(places.data)
    with pytest.raises(DatasetError, match="was trained on another set"):
        validation_scans(places, Predictor.open(places.bundle))


def test_a_folder_is_halved_by_group(places: ProjectPaths, tmp_path: Path) -> None:
    scans = folder(places, write_site(tmp_path / "site"))
    assert scans.held_out is not None
    assert not set(scans.tuning.groups) & set(scans.held_out.groups)
    assert 0.3 < len(scans.tuning.scores) / (len(scans.tuning.scores) + len(scans.held_out.scores)) < 0.7
    assert scans.promising
    assert scans.shown is scans.held_out
    again = folder(places, tmp_path / "site")
    np.testing.assert_array_equal(again.tuning.scores, scans.tuning.scores)


def test_a_folder_that_holds_test_scans_is_refused(places: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    manifest = Manifest.read(places.data)
    test = make_split(manifest, Protocol.CLEAN).test
    for place in test[:2]:
        shutil.copy(manifest.paths[place], site / "yes" / f"{place}.png")
    with pytest.raises(LeakError, match=r"site: 2 of its \d+ files are test scans"):
        folder(places, site)


def test_a_folder_that_the_bundle_was_adapted_to_is_refused(places: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    (picture,) = sketches([next((site / "yes").iterdir())])
    adaptation = adaptation_with((HeldOutPrediction(pixels=picture, tumour_probability=0.5, predicted_tumour=True),))
    (tmp_path / "adaptation.json").write_text(adaptation.to_text())
    update_bundle(places.bundle, added={ADAPTATION_FILE: tmp_path / "adaptation.json"})
    with pytest.raises(LeakError, match=r"site: 1 of its \d+ pictures adapted"):
        folder(places, site)


def test_copies_of_prepared_scans_are_left_out(places: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    before = folder(places, site)
    manifest = Manifest.read(places.data)
    train = make_split(manifest, Protocol.CLEAN).train
    tumours = [place for place in train if manifest.records[place].label != "no_tumor"]
    for place in tumours[:3]:
        shutil.copy(manifest.paths[place], site / "yes" / f"{place}.png")
    after = folder(places, site)
    assert before.held_out is not None
    assert after.held_out is not None
    assert len(after.tuning.scores) + len(after.held_out.scores) == len(before.tuning.scores) + len(
        before.held_out.scores
    )
    assert any("left out" in note for note in after.notes)


def test_where_nobody_knows_what_trained_the_model_nothing_is_promised(places: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    shutil.rmtree(places.data)
    scans = folder(places, site)
    assert not scans.promising
    assert any("nobody can say" in note for note in scans.notes)


def test_a_folder_of_one_kind_is_refused(places: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    shutil.rmtree(site / "no")
    with pytest.raises(DatasetError, match="yes and no"):
        folder(places, site)


def test_halves_need_both_kinds(places: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    for path in sorted((site / "no").iterdir())[1:]:
        path.unlink()
    with pytest.raises(CalibrationError, match="with and without tumours"):
        folder(places, site)
