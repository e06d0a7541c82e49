from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.errors import BundleError, DatasetError
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set, evaluation_settings
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from stand_in import config, write_bundle_for


def judge_in(root: Path, settings: Config) -> ScoredTestSet:
    return evaluate_test_set(ProjectPaths.of(root, settings), settings)


def train_in(root: Path, settings: Config) -> None:
    write_bundle_for(ProjectPaths.of(root, settings), settings)


def openings(root: Path) -> list[dict[str, object]]:
    path = root / "reports" / "test_ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_scores_are_those_of_the_predictor_that_users_call(project: Path) -> None:
    train_in(project, config())
    judged = judge_in(project, config())
    predictor = Predictor.open(project / "models" / "bundle")
    rows = zip(judged.split.test, judged.scored.probabilities, judged.scored.labels, strict=True)
    for place, probabilities, label in rows:
        record = judged.manifest.records[place]
        answer = predictor.predict(project / "data" / record.path)
        np.testing.assert_allclose(list(answer.probabilities.values()), probabilities, atol=1e-5)
        assert record.label == judged.manifest.labels.names[label]


def test_the_test_scans_are_those_of_the_fold_and_no_others(project: Path) -> None:
    train_in(project, config("data.test_fold=1"))
    judged = judge_in(project, config("data.test_fold=1"))
    assert {judged.manifest.records[place].fold for place in judged.split.test} == {1}
    assert judged.evaluation.n == sum(record.fold == 1 for record in judged.manifest.records)


def test_the_bundle_s_own_marks_temperature_and_threshold_are_told(project: Path) -> None:
    settings = config("data.protocol=official", "inference.threshold=0.9")
    train_in(project, settings)
    terms = judge_in(project, settings).evaluation.settings
    assert terms.warnings == ("phantom", "leaky")
    assert (terms.temperature, terms.threshold, terms.protocol) == (1.5, 0.4, "official")


def test_the_temperature_changes_confidence_and_not_the_order(project: Path) -> None:
    train_in(project, config())
    scored = judge_in(project, config()).scored
    np.testing.assert_array_equal(scored.probabilities.argmax(axis=1), scored.uncalibrated.argmax(axis=1))
    assert scored.probabilities.max(axis=1).mean() < scored.uncalibrated.max(axis=1).mean()


def test_the_floor_is_fitted_on_training_scans_alone(project: Path) -> None:
    train_in(project, config())
    first = judge_in(project, config())
    assert first.scored.baseline is not None
    np.testing.assert_allclose(first.scored.baseline.sum(axis=1), 1)
    again = judge_in(project, config())
    np.testing.assert_array_equal(first.scored.baseline, again.scored.baseline)


def test_every_opening_is_counted_by_split(project: Path) -> None:
    train_in(project, config())
    assert [judge_in(project, config()).test_accesses for _ in range(2)] == [1, 2]
    official = config("data.protocol=official")
    train_in(project, official)
    assert judge_in(project, official).test_accesses == 1
    assert [opening["protocol"] for opening in openings(project)] == ["clean", "clean", "official"]


def test_an_opening_is_counted_before_anything_is_scored(project: Path) -> None:
    train_in(project, config())

    def broken(step: str, _done: int, _total: int) -> None:
        if step == "score":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_test_set(ProjectPaths.of(project, config()), config(), broken)
    assert len(openings(project)) == 1


def test_a_bundle_of_another_split_is_refused_before_it_sees_a_scan(project: Path) -> None:
    train_in(project, config())
    with pytest.raises(DatasetError, match="another split"):
        judge_in(project, config("data.test_fold=2"))
    assert openings(project) == []


def test_a_bundle_of_another_set_is_refused_before_it_sees_a_scan(project: Path) -> None:
    train_in(project, config())
    manifest = Manifest.read(project / "data")
    one, *rest = manifest.records
    dataclasses.replace(manifest, records=(dataclasses.replace(one, group="somebody else"), *rest)).write(manifest.root)
    with pytest.raises(DatasetError, match=r"another set.*run brainslice train again"):
        judge_in(project, config())
    assert openings(project) == []


def test_without_a_bundle_nothing_is_counted(project: Path) -> None:
    with pytest.raises(BundleError, match="there is no such bundle"):
        judge_in(project, config())
    assert openings(project) == []


def test_without_a_prepared_set_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run brainslice prepare"):
        judge_in(tmp_path, config())


def test_terms_mark_drawn_heads_and_those_alone(prepared: Path) -> None:
    manifest = Manifest.read(prepared / "data")
    assert evaluation_settings(manifest, config()).warnings == ("phantom",)
    assert evaluation_settings(dataclasses.replace(manifest, name="scans"), config()).warnings == ()
