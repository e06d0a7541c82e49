from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.decision.worklist import doubt_scores
from brainslice.evaluation.scoring import evaluate_test_set
from brainslice.paths import ProjectPaths
from stand_in import SETS, config, copy_project, guarded, write_bundle_for


def places_of(prepared: Path, folder: Path) -> ProjectPaths:
    return ProjectPaths.of(copy_project(prepared, folder / "project"), config())


def test_a_bundle_without_safeguards_is_measured_by_its_doubts_alone(prepared: Path, tmp_path: Path) -> None:
    places = places_of(prepared, tmp_path)
    write_bundle_for(places, config())
    found = evaluate_test_set(places, config()).evaluation.abstention
    assert found is not None
    assert found.sets is None
    assert found.referred.value == 0


def test_test_scans_are_judged_as_users_scans_are(prepared: Path, tmp_path: Path) -> None:
    places = places_of(prepared, tmp_path)
    guarded(write_bundle_for(places, config()))
    judged = evaluate_test_set(places, config())
    paths = [judged.manifest.root / judged.manifest.records[place].path for place in judged.split.test]
    answers = [judged.predictor.predict(path) for path in paths]
    found = judged.evaluation.abstention
    assert found is not None
    assert found.sets is not None
    assert found.sets.promised == SETS.coverage
    assert found.referred.value == pytest.approx(np.mean([bool(answer.reasons) for answer in answers]))
    assert found.sets.size.value == pytest.approx(np.mean([len(answer.prediction_set) for answer in answers]))
    strangeness = np.array([answer.ood_score for answer in answers], dtype=float)
    doubtful = doubt_scores(judged.scored.probabilities, strangeness)
    right = judged.scored.probabilities.argmax(axis=1) == judged.scored.labels
    surest = np.argsort(doubtful, kind="stable")[: len(right) - -(-len(right) // 10)]
    assert found.curve.reviewed[0.1].value == pytest.approx(right[surest].mean())
