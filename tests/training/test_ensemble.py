from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import open_bundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment, assign_split
from brainslice.decision.temperature import MAX_TEMPERATURE, fit_temperature
from brainslice.errors import BundleError, DatasetError, LeakError, UsageError
from brainslice.evaluation.scoring import evaluate_test_set
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_phantoms
from brainslice.progress import Progress
from brainslice.scan.read import read_scan
from brainslice.scan.types import Slice
from brainslice.training import cross_validation
from brainslice.training.ensemble import EnsembleResult, build_ensemble, train_members
from stand_in import BIAS, config, copy_project, write_bundle_for

# Slopes with which the mean grey value tells something about the class, so that a temperature fits.
SLOPES = (-0.03, 0.03, -0.01, 0.01)
OTHER = (-0.04, 0.05, -0.01, 0.02)


def write_member(
    project: Path,
    name: str,
    slopes: tuple[float, ...],
    *,
    test: int = 0,
    choose: int = 1,
    settings: Config | None = None,
) -> Path:
    settings = settings or config(f"data.test_fold={test}")
    paths = replace(ProjectPaths.of(project, settings), models=project / "models" / name)
    return write_bundle_for(paths, settings, assign_split(Manifest.read(paths.data), settings, choose), slopes).folder


def amended(bundle: Path, **changes: object) -> Path:
    """Write the same files under another description."""
    opened = open_bundle(bundle)
    fields = {name: getattr(opened.info, name) for name in BundleDraft.model_fields} | changes
    place = bundle.with_name("amended")
    return write_bundle(place, BundleDraft(**fields), {name: opened.path(name) for name in opened.info.files}).folder


def join(project: Path, *members: Path, overrides: tuple[str, ...] = ()) -> EnsembleResult:
    settings = config(*overrides)
    return build_ensemble(members, project / "models" / "ensemble", ProjectPaths.of(project, settings), settings)


@dataclass(frozen=True)
class Made:
    project: Path
    members: tuple[Path, Path]
    result: EnsembleResult


@pytest.fixture(scope="module")
def same_split(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two networks that chose on the same fold."""
    project = copy_project(prepared, tmp_path_factory.mktemp("same") / "project")
    members = (write_member(project, "one", SLOPES), write_member(project, "other", OTHER))
    return Made(project, members, join(project, *members))


@pytest.fixture(scope="module")
def two_folds(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two networks that keep one fold for testing and chose on different ones."""
    project = copy_project(prepared, tmp_path_factory.mktemp("folds") / "project")
    members = (write_member(project, "one", SLOPES, choose=1), write_member(project, "other", OTHER, choose=2))
    return Made(project, members, join(project, *members))


def test_ensemble_averages_logits(same_split: Made) -> None:
    predictors = [Predictor.open(member) for member in same_split.members]
    predictor = Predictor.open(same_split.result.bundle.folder)
    manifest = same_split.result.assignment.manifest
    scans = np.stack([predictor.recipe(scan) for scan in _scans(manifest)])
    alone = [member.score(scans) for member in predictors]
    output = predictor.score(scans)
    assert output.logits == pytest.approx(np.mean([one.logits for one in alone], axis=0), abs=1e-5)
    assert output.member_logits is not None
    assert output.member_logits[:, 1] == pytest.approx(alone[1].logits, abs=1e-5)
    assert predictor.bundle.info.class_map_bias == pytest.approx(BIAS)


def _scans(manifest: Manifest) -> list[Slice]:
    return [read_scan(path) for path in manifest.paths[:6]]


def test_temperature_is_fitted_on_the_ensemble_logits(same_split: Made) -> None:
    result = same_split.result
    manifest, split = result.assignment.manifest, result.assignment.split
    predictor = Predictor.open(result.bundle.folder)
    inputs = np.stack([predictor.recipe(read_scan(manifest.paths[row])) for row in split.validation])
    fitted = fit_temperature(predictor.score(inputs).logits, manifest.label_indices[split.validation])
    assert result.bundle.info.temperature == pytest.approx(min(fitted.value, MAX_TEMPERATURE), rel=1e-4)
    assert result.bundle.info.ensemble is not None
    assert result.bundle.info.ensemble.members_per_scan == 2
    assert not [note for note in result.notes if "approximation" in note]


def test_bundle_lists_its_members_and_training_scans(two_folds: Made) -> None:
    info = two_folds.result.bundle.info
    infos = [open_bundle(member).info for member in two_folds.members]
    assert info.ensemble is not None
    assert [member.digest for member in info.ensemble.members] == [own.digest for own in infos]
    assert [member.temperature for member in info.ensemble.members] == [1.5, 1.5]
    split = two_folds.result.assignment.split
    assert info.provenance.split_digest == split.digest
    assert info.provenance.train_images == len(split.train) > max(own.provenance.train_images for own in infos)
    assert info.backbone == "2 × none"
    assert info.provenance.phantom


def test_note_on_an_approximate_temperature(two_folds: Made) -> None:
    info = two_folds.result.bundle.info
    assert info.ensemble is not None
    assert info.ensemble.members_per_scan == 1
    assert "1 of 2 members scored each validation scan" in two_folds.result.notes[-2]
    assert "the out-of-distribution detector was calibrated on scans" in two_folds.result.notes[-1]
    assert "approximation" in two_folds.result.bundle.path("README.md").read_text(encoding="utf-8")


def test_prediction_sets_and_detector_are_fitted_on_the_ensemble(same_split: Made) -> None:
    info = same_split.result.bundle.info
    assert info.conformal is not None
    assert info.ood_detector is not None
    assert (
        sum(info.conformal.counts)
        == info.ood_detector.validation_scans
        == len(same_split.result.assignment.split.validation)
    )
    predictor = Predictor.open(same_split.result.bundle.folder)
    answer = predictor.predict(same_split.result.assignment.manifest.paths[0])
    assert answer.coverage == info.conformal.coverage
    assert answer.ood_score is not None
    assert answer.mutual_information is not None


def test_ensemble_is_tested_on_the_joint_test_scans(two_folds: Made) -> None:
    settings = config()
    scored = evaluate_test_set(
        ProjectPaths.of(two_folds.project, settings), settings, bundle=two_folds.result.bundle.folder
    )
    records = [scored.manifest.records[row] for row in scored.split.test]
    assert {record.fold for record in records} == {0}
    assert scored.output.member_logits is not None
    assert scored.test_accesses == 1


def test_members_without_joint_test_scans_raise(project: Path) -> None:
    members = [write_member(project, f"fold{fold}", SLOPES, test=fold, choose=(fold + 1) % 3) for fold in range(3)]
    result = join(project, *members)
    assert result.bundle.info.ensemble is not None
    assert result.bundle.info.ensemble.members_per_scan == 2
    with pytest.raises(LeakError, match="every scan of phantom trained or validated some member"):
        evaluate_test_set(ProjectPaths.of(project, config()), config(), bundle=result.bundle.folder)


def _pair(project: Path) -> tuple[Path, Path]:
    return write_member(project, "one", SLOPES), write_member(project, "other", OTHER)


def test_one_bundle_or_one_twice_raises(project: Path) -> None:
    one, _ = _pair(project)
    with pytest.raises(UsageError, match="at least two bundles, got 1"):
        join(project, one)
    with pytest.raises(UsageError, match="given twice"):
        join(project, one, one)
    assert not (project / "models" / "ensemble").exists()


@pytest.mark.parametrize("what", ["classes", "preprocessing and image size", "class maps", "training set"])
def test_incompatible_members_raise(project: Path, what: str) -> None:
    one, other = _pair(project)
    info = open_bundle(other).info
    changes: dict[str, object] = {
        "classes": {"labels": info.labels.model_copy(update={"names": info.labels.names[::-1]})},
        "preprocessing and image size": {"recipe": {**info.recipe, "size": 96}},
        "class maps": {"class_map_shape": (5, 5)},
        "training set": {"provenance": info.provenance.model_copy(update={"manifest_digest": "a" * 64})},
    }[what]
    with pytest.raises(UsageError, match=f"amended: must have the same {what} as"):
        join(project, one, amended(other, **changes))


def test_ensemble_of_ensembles_raises(project: Path) -> None:
    one, other = _pair(project)
    result = join(project, one, other)
    with pytest.raises(UsageError, match="must be a single network, got an ensemble"):
        join(project, one, result.bundle.folder)


def test_members_of_another_set_raise(project: Path) -> None:
    foreign = []
    for place in _pair(project):
        info = open_bundle(place).info
        foreign.append(amended(place, provenance=info.provenance.model_copy(update={"manifest_digest": "a" * 64})))
    with pytest.raises(DatasetError, match="trained on another set than the one prepared"):
        join(project, *foreign)


def test_damaged_member_raises(project: Path) -> None:
    one, other = _pair(project)
    (other / GRAPH_FILE).write_bytes(b"")
    with pytest.raises(BundleError, match="sha256"):
        join(project, one, other)


def test_members_share_the_test_fold_and_validate_on_different_folds(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[SplitAssignment] = []

    def train(paths: ProjectPaths, settings: Config, *, assignment: SplitAssignment, progress: Progress) -> None:
        progress("training", 1, 1)
        trained.append(assignment)
        write_bundle_for(paths, settings, assignment, tuple(slope * len(trained) for slope in SLOPES))

    monkeypatch.setattr(cross_validation, "train", train)
    settings = config("data.test_fold=1")
    bundles = train_members(project, settings)
    assert [bundle.parent.name for bundle in bundles] == ["fold_1", "fold_1_chosen_on_0"]
    for assignment in trained:
        assert {assignment.manifest.records[row].fold for row in assignment.split.test} == {1}
    chosen = [{assignment.manifest.records[row].fold for row in assignment.split.validation} for assignment in trained]
    assert chosen == [{2}, {0}]
    assert train_members(project, settings) == bundles
    assert len(trained) == 2
    assert join(project, *bundles).assignment.split.test.tolist() == trained[0].split.test.tolist()


def test_temperature_from_a_folder(two_folds: Made, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "other", patients_per_class=4, slices=2, seed=77)
    settings = config()
    paths = ProjectPaths.of(two_folds.project, settings)
    result = build_ensemble(
        two_folds.members, tmp_path / "result", paths, settings, calibration_folder=tmp_path / "other"
    )
    info = result.bundle.info
    assert info.ensemble is not None
    assert info.ensemble.members_per_scan == 2
    assert info.temperature != two_folds.result.bundle.info.temperature
    assert not [note for note in result.notes if "approximation" in note]


def test_folder_of_training_scans_raises(two_folds: Made, tmp_path: Path) -> None:
    settings = config()
    paths = ProjectPaths.of(two_folds.project, settings)
    with pytest.raises(DatasetError, match="copies of training scans were left out"):
        build_ensemble(
            two_folds.members, tmp_path / "result", paths, settings, calibration_folder=two_folds.project / "source"
        )
    assert not (tmp_path / "result").exists()
