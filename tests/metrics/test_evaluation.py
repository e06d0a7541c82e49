from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score

from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.metrics.evaluation import EvaluationSettings, ScoredSet, evaluate

TERMS = EvaluationSettings(LabelSet(), "drawn", "clean", warnings=("phantom",), temperature=1.5, draws=200)


def scored(n: int = 300, seed: int = 0) -> ScoredSet:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    groups = rng.integers(max(n // 4, 1), size=n)
    logits = rng.normal(size=(n, 4)) * 2 + 2 * np.eye(4)[labels]
    floor = softmax(rng.normal(size=(n, 4)) + np.eye(4)[labels], axis=1)
    return ScoredSet(labels, groups, softmax(logits / 1.5, axis=1), softmax(logits, axis=1), floor)


def test_two_evaluations_of_the_same_scans_are_the_same_to_the_last_digit() -> None:
    told = [json.dumps(evaluate(scored(), TERMS).to_json(), allow_nan=False) for _ in range(2)]
    assert told[0] == told[1]


def test_an_evaluation_is_plain_json_without_nan() -> None:
    told = evaluate(scored(), TERMS).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_settings_are_in_the_json() -> None:
    told = evaluate(scored(), TERMS).to_json()
    assert told["warnings"] == ["phantom"]
    assert (told["dataset"], told["protocol"], told["split"]) == ("drawn", "clean", "test")
    assert (told["temperature"], told["bins"], told["n"]) == (1.5, 15, 300)
    assert told["groups"] == len(np.unique(scored().groups))
    assert told["resampling"] == {"seed": 0, "draws": 200, "level": 0.95}


def test_a_temperature_changes_the_calibration_and_not_the_decisions() -> None:
    evaluation = evaluate(scored(), TERMS)
    before = {score.name: score.value for score in evaluation.scores_before}
    assert before.keys() == {"ece", "mce", "brier", "nll", "classwise_ece"}
    assert before["nll"] != evaluation.score("nll").value
    subject = scored()
    right = accuracy_score(subject.labels, subject.uncalibrated.argmax(axis=1))
    assert evaluation.score("accuracy").value == pytest.approx(right)


def test_baseline_is_scored_on_the_same_scans_and_draws() -> None:
    subject = scored()
    assert subject.baseline is not None
    floor = evaluate(subject, TERMS).baseline
    alone = evaluate(replace(subject, probabilities=subject.baseline), TERMS)
    assert floor is not None
    assert floor.scores == alone.scores[: len(floor.scores)]


def test_evaluation_without_baseline() -> None:
    evaluation = evaluate(replace(scored(), baseline=None), TERMS)
    assert evaluation.baseline is None
    assert evaluation.to_json()["baseline"] is None


def test_summary_has_warnings_counts_and_intervals() -> None:
    lines = evaluate(scored(), TERMS).summary_lines()
    assert "[phantom]" in lines[0]
    assert "n = 300" in lines[0]
    assert f"{len(np.unique(scored().groups))} groups" in lines[0]
    assert lines[1].startswith("source-controlled test: not run")
    assert lines[2].startswith("accuracy: 0.")
    assert all("[" in line for line in lines[2:-1])
    assert "McNemar" in lines[-1]


def test_evaluation_of_a_single_scan() -> None:
    evaluation = evaluate(scored(1), TERMS)
    assert evaluation.score("accuracy").interval is not None
    assert evaluation.score("macro_f1").interval is None
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_evaluation_without_scans_raises() -> None:
    subject = scored(1)
    nothing = ScoredSet(subject.labels[:0], subject.groups[:0], subject.probabilities[:0], subject.uncalibrated[:0])
    with pytest.raises(UsageError, match="none in the test part"):
        evaluate(nothing, TERMS)


def test_unknown_score_raises() -> None:
    with pytest.raises(UsageError, match="one of \\['accuracy'"):
        evaluate(scored(20), TERMS).score("f2")


def test_evaluation_takes_seconds() -> None:
    subject = scored(1400)
    start = time.process_time()
    evaluate(subject, replace(TERMS, draws=2000))
    assert time.process_time() - start < 10


def test_without_a_healthy_class_the_scores_of_the_decision_are_undefined() -> None:
    terms = replace(TERMS, label_set=LabelSet(("a", "b", "c", "d"), None))
    evaluation = evaluate(scored(), terms)
    names = ("tumour_auc", "sensitivity", "specificity")
    assert [evaluation.score(name).value for name in names] == [None, None, None]
    assert {evaluation.score(name).note for name in names} == {"undefined: no class is healthy"}
    assert evaluation.score("accuracy") == evaluate(scored(), TERMS).score("accuracy")
    assert "AUC of P(tumour): undefined" in evaluation.summary_lines()
    assert evaluation.summary_lines()[1].startswith(
        "no class is healthy: there is no decision between tumour and healthy"
    )
    assert evaluation.to_json()["healthy"] is None
