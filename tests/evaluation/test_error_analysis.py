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
from brainslice.evaluation.error_analysis import ErrorAnalysis, Mistake, MistakeKind, analyse_errors, find_mistakes
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
from brainslice.paths import ProjectPaths
from brainslice.report.mistakes import write_mistakes
from operating_points import operating_point
from stand_in import config, prepare_project, write_bundle_for

REACHED, MISSED = operating_point("all", 0.0), operating_point("none", 1.0)


@pytest.fixture(scope="module")
def scored_set(tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    root: Path = prepare_project(tmp_path_factory.mktemp("project"))
    paths = ProjectPaths.of(root, config())
    write_bundle_for(paths, config())
    update_bundle(paths.bundle, operating_points=(REACHED, MISSED))
    return evaluate_test_set(paths, config())


@pytest.fixture(scope="module")
def analysed(scored_set: ScoredTestSet) -> ErrorAnalysis:
    return analyse_errors(scored_set)


def test_subgroups_of_each_attribute_sum_to_the_test_set(scored_set: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    counted: dict[str, int] = {}
    for row in analysed.rows:
        counted[row.attribute] = counted.get(row.attribute, 0) + row.n
    assert counted == dict.fromkeys(["class", "source", "patient", "longer side", "shape"], scored_set.evaluation.n)


def test_the_accuracy_of_a_class_is_its_recall(scored_set: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    by_class = {row.value: row.accuracy.value for row in analysed.rows if row.attribute == "class"}
    for own in scored_set.evaluation.classes:
        if own.support:
            assert by_class[own.name] == own.recall.value


def test_patients_are_known_from_a_table_only(scored_set: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    values = {row.value for row in analysed.rows if row.attribute == "patient"}
    assert values == {"known"}
    unknown = replace(scored_set, manifest=replace(scored_set.manifest, groups_from="audit"))
    assert {row.value for row in analyse_errors(unknown).rows if row.attribute == "patient"} == {"not known"}


def test_collections_and_patients_of_the_public_set_come_from_its_table(scored_set: ScoredTestSet) -> None:
    known = list(known_scans().values())
    traced = next(scan for scan in known if scan.mask and scan.patient_known)
    loose = next(scan for scan in known if not scan.mask and not scan.patient_known)
    names = [traced.name, loose.name]
    records = tuple(
        replace(record, source=f"Testing/glioma/{names[place % 2]}.jpg")
        for place, record in enumerate(scored_set.manifest.records)
    )
    renamed = replace(scored_set, manifest=replace(scored_set.manifest, name="nickparvar", records=records))
    rows = {(row.attribute, row.value): row.n for row in analyse_errors(renamed).rows}
    even = int((scored_set.split.test % 2 == 0).sum())
    assert rows["source", "Cheng et al."] == rows["patient", "known"] == even
    assert rows["source", "other collections"] == rows["patient", "not known"] == scored_set.evaluation.n - even


def test_operating_points_are_checked_on_the_test_scans(scored_set: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    everything, nothing = analysed.points
    assert (everything.sensitivity.value, everything.specificity.value) == (1.0, 0.0)
    assert everything.holds
    assert nothing.holds is False
    assert "target is missed" in nothing.summary
    assert everything.sensitivity.n + everything.specificity.n == scored_set.evaluation.n


def test_to_json_returns_json_types(analysed: ErrorAnalysis) -> None:
    content = analysed.to_json()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    kinds = [count for name, count in content["errors"].items() if name != "n"]
    assert sum(kinds) == content["errors"]["n"] == len(analysed.mistakes)
    assert [point["target_reached"] for point in content["operating_points"]] == [True, False]


def test_operating_points_need_tumours_and_healthy_scans(scored_set: ScoredTestSet) -> None:
    scored = replace(scored_set.scored, labels=np.zeros_like(scored_set.scored.labels))
    assert analyse_errors(replace(scored_set, scored=scored)).points == ()


@pytest.fixture(scope="module")
def mistakes(scored_set: ScoredTestSet) -> tuple[Mistake, ...]:
    return find_mistakes(scored_set)


def test_every_misclassified_scan_is_listed_once(scored_set: ScoredTestSet, mistakes: tuple[Mistake, ...]) -> None:
    scored, labels = scored_set.scored, scored_set.manifest.labels
    expected = set()
    for place, row in enumerate(scored.probabilities):
        true = labels.names[scored.labels[place]]
        tumour = 1 - row[labels.healthy_index] >= scored_set.predictor.threshold
        if labels.names[row.argmax()] != true or tumour != (true != labels.healthy):
            expected.add(scored_set.manifest.records[scored_set.split.test[place]].path)
    assert {mistake.path for mistake in mistakes} == expected
    assert len(mistakes) == len(expected) > 0


def test_mistakes_are_sorted_by_true_probability(mistakes: tuple[Mistake, ...]) -> None:
    shares = [mistake.true_probability for mistake in mistakes]
    assert shares == pytest.approx(sorted(shares), abs=1e-6)


def test_kind_of_mistake(scored_set: ScoredTestSet, mistakes: tuple[Mistake, ...]) -> None:
    healthy = scored_set.manifest.labels.healthy
    for mistake in mistakes:
        if mistake.kind is MistakeKind.MISSED_TUMOUR:
            assert mistake.true != healthy
            assert not mistake.answer.tumour
        elif mistake.kind is MistakeKind.FALSE_ALARM:
            assert mistake.true == healthy
            assert mistake.answer.tumour
        else:
            assert (mistake.true != healthy) == mistake.answer.tumour
            assert mistake.answer.predicted_class != mistake.true


def test_mistakes_hold_the_prediction(scored_set: ScoredTestSet, mistakes: tuple[Mistake, ...]) -> None:
    first = mistakes[0]
    again = scored_set.predictor.predict(scored_set.manifest.root / first.path)
    assert again.to_json() == first.answer.to_json()
    np.testing.assert_array_equal(again.network_input, first.answer.network_input)


def test_mistakes_are_json_types(mistakes: tuple[Mistake, ...]) -> None:
    for mistake in mistakes:
        content = mistake.to_json()
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert content["predicted"] == mistake.answer.predicted_class
        assert content["kind"] in {"missed tumour", "false alarm", "wrong class"}


def test_finding_mistakes_is_no_second_access(scored_set: ScoredTestSet) -> None:
    ledger = scored_set.manifest.root.parent / "reports" / "test_ledger.jsonl"
    before = ledger.read_text()
    find_mistakes(scored_set)
    assert ledger.read_text() == before


@pytest.mark.real
def test_subgroups_of_real_scans(real_scans: Path, tmp_path: Path) -> None:
    for folder in sorted(real_scans.glob("nickparvar/*/*")):
        place = tmp_path / "some" / folder.relative_to(real_scans / "nickparvar")
        place.mkdir(parents=True)
        for path in sorted(folder.iterdir())[::90]:
            shutil.copy(path, place / path.name)
    prepare_dataset(tmp_path / "some", tmp_path, PreparationOptions(folds=3, copy=True))
    paths = ProjectPaths.of(tmp_path, config())
    write_bundle_for(paths, config())
    seen = evaluate_test_set(paths, config())
    rows = {(row.attribute, row.value): row for row in analyse_errors(seen).rows}
    assert seen.manifest.name == "nickparvar"
    assert {"Cheng et al.", "other collections"} == {value for name, value in rows if name == "source"}
    assert {"known", "not known"} == {value for name, value in rows if name == "patient"}
    assert len({value for name, value in rows if name == "longer side"}) > 1
    write_mistakes(analyse_errors(seen), seen.evaluation, tmp_path / "reports")
    assert (tmp_path / "reports" / "errors.png").stat().st_size > 50_000
