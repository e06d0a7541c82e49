from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.decision.uncertainty import uncertainty_scores
from brainslice.errors import BundleError, DatasetError
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set, evaluation_settings
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from stand_in import SETS, config, guarded, write_bundle_for


def evaluate_in(root: Path, settings: Config) -> ScoredTestSet:
    return evaluate_test_set(ProjectPaths.of(root, settings), settings)


def train_in(root: Path, settings: Config) -> None:
    write_bundle_for(ProjectPaths.of(root, settings), settings)


def accesses(root: Path) -> list[dict[str, object]]:
    path = root / "reports" / "test_ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_scores_match_the_predictor(project: Path) -> None:
    train_in(project, config())
    scored_set = evaluate_in(project, config())
    predictor = Predictor.open(project / "models" / "bundle")
    rows = zip(scored_set.split.test, scored_set.scored.probabilities, scored_set.scored.labels, strict=True)
    for place, probabilities, label in rows:
        record = scored_set.manifest.records[place]
        answer = predictor.predict(project / "data" / record.path)
        np.testing.assert_allclose(list(answer.probabilities.values()), probabilities, atol=1e-5)
        assert record.label == scored_set.manifest.labels.names[label]


def test_test_scans_are_those_of_the_test_fold(project: Path) -> None:
    train_in(project, config("data.test_fold=1"))
    scored_set = evaluate_in(project, config("data.test_fold=1"))
    assert {scored_set.manifest.records[place].fold for place in scored_set.split.test} == {1}
    assert scored_set.evaluation.n == sum(record.fold == 1 for record in scored_set.manifest.records)


def test_settings_come_from_the_bundle(project: Path) -> None:
    settings = config("data.protocol=official", "inference.threshold=0.9")
    train_in(project, settings)
    terms = evaluate_in(project, settings).evaluation.settings
    assert terms.warnings == ("phantom", "leaky")
    assert (terms.temperature, terms.threshold, terms.protocol) == (1.5, 0.4, "official")


def test_temperature_changes_confidence_and_not_the_class(project: Path) -> None:
    train_in(project, config())
    scored = evaluate_in(project, config()).scored
    np.testing.assert_array_equal(scored.probabilities.argmax(axis=1), scored.uncalibrated.argmax(axis=1))
    assert scored.probabilities.max(axis=1).mean() < scored.uncalibrated.max(axis=1).mean()


def test_baseline_is_reproducible(project: Path) -> None:
    train_in(project, config())
    first = evaluate_in(project, config())
    assert first.scored.baseline is not None
    np.testing.assert_allclose(first.scored.baseline.sum(axis=1), 1)
    again = evaluate_in(project, config())
    np.testing.assert_array_equal(first.scored.baseline, again.scored.baseline)


def test_accesses_are_counted_by_split(project: Path) -> None:
    train_in(project, config())
    assert [evaluate_in(project, config()).test_accesses for _ in range(2)] == [1, 2]
    official = config("data.protocol=official")
    train_in(project, official)
    assert evaluate_in(project, official).test_accesses == 1
    assert [entry["protocol"] for entry in accesses(project)] == ["clean", "clean", "official"]


def test_access_is_recorded_before_scoring(project: Path) -> None:
    train_in(project, config())

    def broken(step: str, _done: int, _total: int) -> None:
        if step == "score":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_test_set(ProjectPaths.of(project, config()), config(), broken)
    assert len(accesses(project)) == 1


def test_bundle_of_another_split_raises_before_access(project: Path) -> None:
    train_in(project, config())
    with pytest.raises(DatasetError, match="another split"):
        evaluate_in(project, config("data.test_fold=2"))
    assert accesses(project) == []


def test_bundle_of_another_set_raises_before_access(project: Path) -> None:
    train_in(project, config())
    manifest = Manifest.read(project / "data")
    one, *rest = manifest.records
    dataclasses.replace(manifest, records=(dataclasses.replace(one, group="somebody else"), *rest)).write(manifest.root)
    with pytest.raises(DatasetError, match=r"another set.*run brainslice train again"):
        evaluate_in(project, config())
    assert accesses(project) == []


def test_missing_bundle_is_no_access(project: Path) -> None:
    with pytest.raises(BundleError, match="there is no such bundle"):
        evaluate_in(project, config())
    assert accesses(project) == []


def test_missing_set_names_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run brainslice prepare"):
        evaluate_in(tmp_path, config())


def test_settings_warn_of_phantoms_only(prepared: Path) -> None:
    manifest = Manifest.read(prepared / "data")
    assert evaluation_settings(manifest, config()).warnings == ("phantom",)
    assert evaluation_settings(dataclasses.replace(manifest, name="scans"), config()).warnings == ()


def test_abstention_without_safeguards_uses_uncertainty_only(project: Path) -> None:
    paths = ProjectPaths.of(project, config())
    write_bundle_for(paths, config())
    found = evaluate_test_set(paths, config()).evaluation.abstention
    assert found is not None
    assert found.sets is None
    assert found.referred.value == 0


def test_abstention_matches_the_predictor(project: Path) -> None:
    paths = ProjectPaths.of(project, config())
    guarded(write_bundle_for(paths, config()))
    scored_set = evaluate_test_set(paths, config())
    files = [scored_set.manifest.root / scored_set.manifest.records[row].path for row in scored_set.split.test]
    answers = [scored_set.predictor.predict(path) for path in files]
    found = scored_set.evaluation.abstention
    assert found is not None
    assert found.sets is not None
    assert found.sets.promised == SETS.coverage
    assert found.referred.value == pytest.approx(np.mean([bool(answer.reasons) for answer in answers]))
    assert found.sets.size.value == pytest.approx(np.mean([len(answer.prediction_set) for answer in answers]))
    strangeness = np.array([answer.ood_score for answer in answers], dtype=float)
    doubtful = uncertainty_scores(scored_set.scored.probabilities, strangeness)
    correct = scored_set.scored.probabilities.argmax(axis=1) == scored_set.scored.labels
    surest = np.argsort(doubtful, kind="stable")[: len(correct) - -(-len(correct) // 10)]
    assert found.curve.reviewed[0.1].value == pytest.approx(correct[surest].mean())


def test_damaged_access_log_raises(project: Path) -> None:
    train_in(project, config())
    path = project / "reports" / "test_ledger.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"split": "one"\n')
    with pytest.raises(DatasetError, match="damaged"):
        evaluate_in(project, config())
    assert path.read_text() == '{"split": "one"\n'
