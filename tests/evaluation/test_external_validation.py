from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.adaptation import ADAPTATION_FILE, HeldOutPrediction
from brainslice.bundle.store import open_bundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft
from brainslice.dataset.external_site import read_external_site
from brainslice.dataset.manifest import Manifest
from brainslice.errors import UsageError
from brainslice.evaluation.external_validation import ExternalValidation, Method, compare_methods, validate_external
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from stand_in import adaptation_with, config, write_bundle_for


@pytest.fixture
def paths(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    write_bundle_for(found, config())
    write_external_site(project / "elsewhere", heads_per_kind=6, slices=1, seed=3)
    return found


def scored_set(paths: ProjectPaths, *more: Path) -> ExternalValidation:
    return validate_external([paths.bundle, *more], paths.root / "elsewhere", paths, config())


def adapted_copy(paths: ProjectPaths, answers: tuple[HeldOutPrediction, ...]) -> Path:
    """A bundle of the same graph that says it was adapted to the site."""
    base = open_bundle(paths.bundle)
    text = paths.models / "content.json"
    text.write_text(adaptation_with(answers, base.info.digest).to_text(), encoding="utf-8")
    draft = BundleDraft(**{name: getattr(base.info, name) for name in BundleDraft.model_fields})
    files = {GRAPH_FILE: base.path(GRAPH_FILE), ADAPTATION_FILE: text}
    return write_bundle(paths.models / "adapted_elsewhere", draft, files).folder


def test_a_bundle_is_scored_at_its_own_threshold_and_at_one_fixed_on_its_source(paths: ProjectPaths) -> None:
    found = scored_set(paths)
    assert [entry.name for entry in found.entries] == ["bundle", "bundle, source threshold"]
    own = found.entries[0].scores
    predictor = Predictor.open(paths.bundle)
    files = [scan.path for scan in found.site.scans]
    called = np.array([answer.tumour for answer in predictor.predict_many(files)])
    assert own.false_negatives == int((~called & found.site.tumours).sum())
    assert own.false_positives == int((called & ~found.site.tumours).sum())
    assert found.site.overlapping == (0, 0)
    assert found.warnings == ("phantom",)
    assert found.entries[1].against_first is not None
    json.dumps(found.to_json(), allow_nan=False)


def test_copies_of_training_scans_are_left_out_and_counted(paths: ProjectPaths) -> None:
    manifest = Manifest.read(paths.data)
    trained = next(record for record in manifest.records if record.fold == 2 and record.label == "glioma")
    shutil.copyfile(manifest.root / trained.path, paths.root / "elsewhere" / "yes" / "known.png")
    found = scored_set(paths)
    assert found.site.overlapping == (1, 0)
    assert found.entries[0].scores.auc.n == 12


def test_bundle_of_unknown_source_has_one_entry(paths: ProjectPaths, tmp_path: Path) -> None:
    elsewhere = ProjectPaths.of(tmp_path / "nothing", config())
    found = validate_external([paths.bundle], paths.root / "elsewhere", elsewhere, config())
    assert found.site.overlapping is None
    assert [entry.name for entry in found.entries] == ["bundle"]


def test_adapted_bundle_uses_out_of_fold_predictions(paths: ProjectPaths) -> None:
    site = read_external_site(paths.root / "elsewhere", LabelSet(), None)
    answers = tuple(
        HeldOutPrediction(pixels=scan.pixel_hash, tumour_probability=float(scan.tumour), predicted_tumour=scan.tumour)
        for scan in site.scans[:-1]
    )
    found = scored_set(paths, adapted_copy(paths, answers))
    adapted = next(entry for entry in found.entries if entry.name == "adapted_elsewhere")
    assert "11 of 12 answers are out of fold" in adapted.note
    assert adapted.source_macro_f1 == 0.5
    base = found.entries[0].scores
    assert adapted.scores.false_negatives + adapted.scores.false_positives <= 1
    assert adapted.scores.accuracy.value is not None
    assert base.accuracy.value is not None
    assert adapted.scores.accuracy.value > base.accuracy.value


def test_a_folder_of_classes_is_also_scored_by_class(paths: ProjectPaths) -> None:
    folder = paths.root / "classes"
    shutil.copytree(paths.root / "source" / "Testing", folder)
    found = validate_external([paths.bundle], folder, paths, config())
    assert set(found.classes) == {"bundle"}
    assert 0 <= found.classes["bundle"]["macro_f1"] <= 1


def test_bundles_of_other_classes_cannot_be_compared(paths: ProjectPaths) -> None:
    base = open_bundle(paths.bundle)
    fields = {name: getattr(base.info, name) for name in BundleDraft.model_fields}
    names = base.info.labels.model_copy(update={"names": ("glioma", "meningioma", "no_tumor", "other")})
    draft = BundleDraft(**{**fields, "labels": names})
    other = write_bundle(paths.models / "other", draft, {GRAPH_FILE: base.path(GRAPH_FILE)})
    with pytest.raises(UsageError, match="same classes"):
        scored_set(paths, other.folder)


def test_methods_are_scored_and_tested_against_the_first() -> None:
    tumours, groups = np.array([True, True, True, False, False, False]), np.arange(6)
    chances = np.array([0.9, 0.4, 0.8, 0.1, 0.6, 0.2])
    poor = Method("poor", chances, chances >= 0.5, "as it is")
    good = Method("good", chances, tumours.copy(), "knows", 0.75)
    first, second = compare_methods(tumours, groups, [poor, good])
    assert first.against_first is None
    assert second.against_first is not None
    assert (second.against_first.only_first, second.against_first.only_second) == (0, 2)
    assert (first.scores.false_negatives, first.scores.false_positives) == (1, 1)
    content = json.loads(json.dumps(second.to_json(), allow_nan=False))
    assert (content["name"], content["source_macro_f1"], content["false_negatives"]) == ("good", 0.75, 0)
