from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import update_bundle
from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.dataset.splits.known_datasets import known_scans
from brainslice.evaluation.error_analysis import ErrorAnalysis, analyse_errors
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
from brainslice.paths import ProjectPaths
from brainslice.report.mistakes import write_mistakes
from operating_points import operating_point
from stand_in import config, prepare_project, write_bundle_for

REACHED, MISSED = operating_point("all", 0.0), operating_point("none", 1.0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    root: Path = prepare_project(tmp_path_factory.mktemp("project"))
    places = ProjectPaths.of(root, config())
    write_bundle_for(places, config())
    update_bundle(places.bundle, operating_points=(REACHED, MISSED))
    return evaluate_test_set(places, config())


@pytest.fixture(scope="module")
def analysed(judged: ScoredTestSet) -> ErrorAnalysis:
    return analyse_errors(judged)


def test_every_part_of_every_kind_adds_up_to_the_test_set(judged: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    counted: dict[str, int] = {}
    for row in analysed.rows:
        counted[row.attribute] = counted.get(row.attribute, 0) + row.n
    assert counted == dict.fromkeys(["class", "source", "patient", "longer side", "shape"], judged.evaluation.n)


def test_the_accuracy_of_a_class_is_its_recall(judged: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    by_class = {row.value: row.accuracy.value for row in analysed.rows if row.attribute == "class"}
    for own in judged.evaluation.classes:
        if own.support:
            assert by_class[own.name] == own.recall.value


def test_known_patients_are_those_of_a_table(judged: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    values = {row.value for row in analysed.rows if row.attribute == "patient"}
    assert values == {"known"}
    unknown = replace(judged, manifest=replace(judged.manifest, groups_from="audit"))
    assert {row.value for row in analyse_errors(unknown).rows if row.attribute == "patient"} == {"not known"}


def test_the_public_set_s_collections_and_patients_are_told_by_its_table(judged: ScoredTestSet) -> None:
    known = list(known_scans().values())
    traced = next(scan for scan in known if scan.mask and scan.patient_known)
    loose = next(scan for scan in known if not scan.mask and not scan.patient_known)
    names = [traced.name, loose.name]
    records = tuple(
        replace(record, source=f"Testing/glioma/{names[place % 2]}.jpg")
        for place, record in enumerate(judged.manifest.records)
    )
    renamed = replace(judged, manifest=replace(judged.manifest, name="nickparvar", records=records))
    rows = {(row.attribute, row.value): row.n for row in analyse_errors(renamed).rows}
    even = int((judged.split.test % 2 == 0).sum())
    assert rows["source", "Cheng et al."] == rows["patient", "known"] == even
    assert rows["source", "other collections"] == rows["patient", "not known"] == judged.evaluation.n - even


def test_operating_points_are_held_to_their_word_on_the_test_scans(
    judged: ScoredTestSet, analysed: ErrorAnalysis
) -> None:
    everything, nothing = analysed.points
    assert (everything.sensitivity.value, everything.specificity.value) == (1.0, 0.0)
    assert everything.holds
    assert nothing.holds is False
    assert "target is missed" in nothing.summary
    assert everything.sensitivity.n + everything.specificity.n == judged.evaluation.n


def test_is_told_in_plain_types(analysed: ErrorAnalysis) -> None:
    told = analysed.to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    kinds = [count for name, count in told["errors"].items() if name != "n"]
    assert sum(kinds) == told["errors"]["n"] == len(analysed.mistakes)
    assert [point["target_reached"] for point in told["operating_points"]] == [True, False]


def test_scans_of_one_kind_hold_no_operating_point_to_anything(judged: ScoredTestSet) -> None:
    scored = replace(judged.scored, labels=np.zeros_like(judged.scored.labels))
    assert analyse_errors(replace(judged, scored=scored)).points == ()


@pytest.mark.real
def test_real_scans_are_told_apart_by_collection_size_and_patient(real_scans: Path, tmp_path: Path) -> None:
    for folder in sorted(real_scans.glob("nickparvar/*/*")):
        place = tmp_path / "some" / folder.relative_to(real_scans / "nickparvar")
        place.mkdir(parents=True)
        for path in sorted(folder.iterdir())[::90]:
            shutil.copy(path, place / path.name)
    prepare_dataset(tmp_path / "some", tmp_path, PreparationOptions(folds=3, copy=True))
    places = ProjectPaths.of(tmp_path, config())
    write_bundle_for(places, config())
    seen = evaluate_test_set(places, config())
    rows = {(row.attribute, row.value): row for row in analyse_errors(seen).rows}
    assert seen.manifest.name == "nickparvar"
    assert {"Cheng et al.", "other collections"} == {value for name, value in rows if name == "source"}
    assert {"known", "not known"} == {value for name, value in rows if name == "patient"}
    assert len({value for name, value in rows if name == "longer side"}) > 1
    write_mistakes(analyse_errors(seen), seen.evaluation, tmp_path / "reports")
    assert (tmp_path / "reports" / "errors.png").stat().st_size > 50_000
