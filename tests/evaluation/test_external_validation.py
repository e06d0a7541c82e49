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
from brainslice.evaluation.external_validation import ExternalValidation, validate_external
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from stand_in import adaptation_with, config, write_bundle_for


@pytest.fixture
def places(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    write_bundle_for(found, config())
    write_external_site(project / "elsewhere", heads_per_kind=6, slices=1, seed=3)
    return found


def judged(places: ProjectPaths, *more: Path) -> ExternalValidation:
    return validate_external([places.bundle, *more], places.root / "elsewhere", places, config())


def adapted_copy(places: ProjectPaths, answers: tuple[HeldOutPrediction, ...]) -> Path:
    """A bundle of the same graph that says it was adapted to the site."""
    base = open_bundle(places.bundle)
    text = places.models / "told.json"
    text.write_text(adaptation_with(answers, base.info.digest).to_text(), encoding="utf-8")
    draft = BundleDraft(**{name: getattr(base.info, name) for name in BundleDraft.model_fields})
    files = {GRAPH_FILE: base.path(GRAPH_FILE), ADAPTATION_FILE: text}
    return write_bundle(places.models / "adapted_elsewhere", draft, files).folder


def test_a_bundle_is_scored_at_its_own_threshold_and_at_one_fixed_on_its_source(places: ProjectPaths) -> None:
    found = judged(places)
    assert [entry.name for entry in found.entries] == ["bundle", "bundle, source threshold"]
    own = found.entries[0].scores
    predictor = Predictor.open(places.bundle)
    paths = [scan.path for scan in found.site.scans]
    called = np.array([answer.tumour for answer in predictor.predict_many(paths)])
    assert own.false_negatives == int((~called & found.site.tumours).sum())
    assert own.false_positives == int((called & ~found.site.tumours).sum())
    assert found.site.overlapping == (0, 0)
    assert found.warnings == ("phantom",)
    assert found.entries[1].against_first is not None
    json.dumps(found.to_json(), allow_nan=False)


def test_copies_of_training_scans_are_left_out_and_counted(places: ProjectPaths) -> None:
    manifest = Manifest.read(places.data)
    trained = next(record for record in manifest.records if record.fold == 2 and record.label == "glioma")
    shutil.copyfile(manifest.root / trained.path, places.root / "elsewhere" / "yes" / "known.png")
    found = judged(places)
    assert found.site.overlapping == (1, 0)
    assert found.entries[0].scores.auc.n == 12


def test_a_bundle_from_elsewhere_is_scored_and_said_to_be_unknown(places: ProjectPaths, tmp_path: Path) -> None:
    elsewhere = ProjectPaths.of(tmp_path / "nothing", config())
    found = validate_external([places.bundle], places.root / "elsewhere", elsewhere, config())
    assert found.site.overlapping is None
    assert [entry.name for entry in found.entries] == ["bundle"]


def test_an_adapted_bundle_answers_out_of_fold_where_it_saw_the_scan(places: ProjectPaths) -> None:
    site = read_external_site(places.root / "elsewhere", LabelSet(), None)
    answers = tuple(
        HeldOutPrediction(pixels=scan.pixel_hash, tumour_probability=float(scan.tumour), predicted_tumour=scan.tumour)
        for scan in site.scans[:-1]
    )
    found = judged(places, adapted_copy(places, answers))
    adapted = next(entry for entry in found.entries if entry.name == "adapted_elsewhere")
    assert "11 of 12 answers are out of fold" in adapted.note
    assert adapted.source_macro_f1 == 0.5
    base = found.entries[0].scores
    assert adapted.scores.false_negatives + adapted.scores.false_positives <= 1
    assert adapted.scores.accuracy.value is not None
    assert base.accuracy.value is not None
    assert adapted.scores.accuracy.value > base.accuracy.value


def test_a_folder_of_classes_is_also_scored_by_class(places: ProjectPaths) -> None:
    folder = places.root / "classes"
    shutil.copytree(places.root / "source" / "Testing", folder)
    found = validate_external([places.bundle], folder, places, config())
    assert set(found.classes) == {"bundle"}
    assert 0 <= found.classes["bundle"]["macro_f1"] <= 1


def test_bundles_of_other_classes_cannot_stand_side_by_side(places: ProjectPaths) -> None:
    base = open_bundle(places.bundle)
    fields = {name: getattr(base.info, name) for name in BundleDraft.model_fields}
    names = base.info.labels.model_copy(update={"names": ("glioma", "meningioma", "no_tumor", "other")})
    draft = BundleDraft(**{**fields, "labels": names})
    other = write_bundle(places.models / "other", draft, {GRAPH_FILE: base.path(GRAPH_FILE)})
    with pytest.raises(UsageError, match="same classes"):
        judged(places, other.folder)
