from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.evaluation.mistakes import Mistake, MistakeKind, find_mistakes
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
from brainslice.paths import ProjectPaths
from stand_in import config, prepare_project, write_bundle_for


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    root: Path = prepare_project(tmp_path_factory.mktemp("project"))
    places = ProjectPaths.of(root, config())
    write_bundle_for(places, config())
    return evaluate_test_set(places, config())


@pytest.fixture(scope="module")
def mistakes(judged: ScoredTestSet) -> tuple[Mistake, ...]:
    return find_mistakes(judged)


def test_every_scan_called_wrongly_is_listed_once(judged: ScoredTestSet, mistakes: tuple[Mistake, ...]) -> None:
    scored, labels = judged.scored, judged.manifest.labels
    expected = set()
    for place, row in enumerate(scored.probabilities):
        true = labels.names[scored.labels[place]]
        tumour = 1 - row[labels.healthy_index] >= judged.predictor.threshold
        if labels.names[row.argmax()] != true or tumour != (true != labels.healthy):
            expected.add(judged.manifest.records[judged.split.test[place]].path)
    assert {mistake.path for mistake in mistakes} == expected
    assert len(mistakes) == len(expected) > 0


def test_the_surest_mistake_comes_first(mistakes: tuple[Mistake, ...]) -> None:
    shares = [mistake.true_probability for mistake in mistakes]
    assert shares == pytest.approx(sorted(shares), abs=1e-6)


def test_each_is_told_by_what_it_costs(judged: ScoredTestSet, mistakes: tuple[Mistake, ...]) -> None:
    healthy = judged.manifest.labels.healthy
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


def test_the_answer_is_the_one_users_get(judged: ScoredTestSet, mistakes: tuple[Mistake, ...]) -> None:
    first = mistakes[0]
    again = judged.predictor.predict(judged.manifest.root / first.path)
    assert again.to_json() == first.answer.to_json()
    np.testing.assert_array_equal(again.network_input, first.answer.network_input)


def test_is_told_in_plain_types(mistakes: tuple[Mistake, ...]) -> None:
    for mistake in mistakes:
        told = mistake.to_json()
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert told["predicted"] == mistake.answer.predicted_class
        assert told["kind"] in {"missed tumour", "false alarm", "wrong class"}


def test_looking_at_mistakes_opens_the_test_set_no_second_time(judged: ScoredTestSet) -> None:
    ledger = judged.manifest.root.parent / "reports" / "test_ledger.jsonl"
    before = ledger.read_text()
    find_mistakes(judged)
    assert ledger.read_text() == before
