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
def paths(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    write_bundle_for(found, config())
    return found


def sketches(paths: list[Path]) -> list[str]:
    """Hash the decoded pictures of some files."""
    return [compute_fingerprint(read_scan(path)).pixel_hash for path in paths]


def folder(paths: ProjectPaths, site: Path, seed: int = 0) -> TuningScans:
    return folder_scans(site, paths, Predictor.open(paths.bundle), seed)


def test_validation_scans_are_those_of_the_split(paths: ProjectPaths) -> None:
    predictor = Predictor.open(paths.bundle)
    scans = validation_scans(paths, predictor)
    manifest = Manifest.read(paths.data)
    chosen = make_split(manifest, Protocol.CLEAN).validation
    expected = [predictor.predict(manifest.paths[place]).tumour_probability for place in chosen]
    np.testing.assert_allclose(scans.tuning.scores, expected, atol=1e-6)
    assert scans.tuning.tumour.tolist() == [manifest.records[place].label != "no_tumor" for place in chosen]
    np.testing.assert_array_equal(scans.tuning.groups, manifest.group_indices[chosen])
    assert scans.held_out is None
    assert scans.allows_guarantee
    assert "optimistic" in scans.notes[0]


def test_tuning_is_no_access_to_the_test_set(paths: ProjectPaths, tmp_path: Path) -> None:
    validation_scans(paths, Predictor.open(paths.bundle))
    folder(paths, write_site(tmp_path / "site"))
    assert not paths.test_access_log.exists()


def test_validation_scans_related_to_training_allow_no_guarantee(paths: ProjectPaths) -> None:
    manifest = Manifest.read(paths.data)
    official = ProjectPaths.of(paths.root, config("data.protocol=official"))
    write_bundle_for(official, config("data.protocol=official"))
    split = make_split(manifest, Protocol.OFFICIAL)
    scans = validation_scans(official, Predictor.open(official.bundle))
    assert scans.allows_guarantee == (split.crossing_validation == 0)
    assert len(scans.notes) == 1 + (split.crossing_validation > 0)


def test_a_bundle_of_another_set_is_refused(paths: ProjectPaths) -> None:
    manifest = Manifest.read(paths.data)
    dataclasses.replace(manifest, records=manifest.records[1:]).write(paths.data)
    with pytest.raises(DatasetError, match="was trained on another set"):
        validation_scans(paths, Predictor.open(paths.bundle))


def test_folder_is_divided_by_group(paths: ProjectPaths, tmp_path: Path) -> None:
    scans = folder(paths, write_site(tmp_path / "site"))
    assert scans.held_out is not None
    assert not set(scans.tuning.groups) & set(scans.held_out.groups)
    assert 0.3 < len(scans.tuning.scores) / (len(scans.tuning.scores) + len(scans.held_out.scores)) < 0.7
    assert scans.allows_guarantee
    assert scans.reported is scans.held_out
    again = folder(paths, tmp_path / "site")
    np.testing.assert_array_equal(again.tuning.scores, scans.tuning.scores)


def test_folder_with_test_scans_raises(paths: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    manifest = Manifest.read(paths.data)
    test = make_split(manifest, Protocol.CLEAN).test
    for place in test[:2]:
        shutil.copy(manifest.paths[place], site / "yes" / f"{place}.png")
    with pytest.raises(LeakError, match=r"site: 2 of its \d+ files are test scans"):
        folder(paths, site)


def test_folder_used_for_adaptation_raises(paths: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    (picture,) = sketches([next((site / "yes").iterdir())])
    adaptation = adaptation_with((HeldOutPrediction(pixels=picture, tumour_probability=0.5, predicted_tumour=True),))
    (tmp_path / "adaptation.json").write_text(adaptation.to_text())
    update_bundle(paths.bundle, added={ADAPTATION_FILE: tmp_path / "adaptation.json"})
    with pytest.raises(LeakError, match=r"site: 1 of its \d+ images trained"):
        folder(paths, site)


def test_copies_of_prepared_scans_are_left_out(paths: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    before = folder(paths, site)
    manifest = Manifest.read(paths.data)
    train = make_split(manifest, Protocol.CLEAN).train
    tumours = [place for place in train if manifest.records[place].label != "no_tumor"]
    for place in tumours[:3]:
        shutil.copy(manifest.paths[place], site / "yes" / f"{place}.png")
    after = folder(paths, site)
    assert before.held_out is not None
    assert after.held_out is not None
    assert len(after.tuning.scores) + len(after.held_out.scores) == len(before.tuning.scores) + len(
        before.held_out.scores
    )
    assert any("left out" in note for note in after.notes)


def test_unknown_training_set_allows_no_guarantee(paths: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    shutil.rmtree(paths.data)
    scans = folder(paths, site)
    assert not scans.allows_guarantee
    assert any("were not left out" in note for note in scans.notes)


def test_folder_without_healthy_scans_raises(paths: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    shutil.rmtree(site / "no")
    with pytest.raises(DatasetError, match="yes and no"):
        folder(paths, site)


def test_halves_need_tumours_and_healthy_scans(paths: ProjectPaths, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    for path in sorted((site / "no").iterdir())[1:]:
        path.unlink()
    with pytest.raises(CalibrationError, match="with and without tumours"):
        folder(paths, site)
