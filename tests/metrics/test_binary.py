from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

from brainslice.errors import UsageError
from brainslice.metrics.binary import binary_scores, compare_predictions


def test_binary_scores_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    tumours = rng.random(80) < 0.6
    chances = np.clip(rng.normal(0.35 + 0.3 * tumours, 0.2), 0, 1)
    called, groups = chances >= 0.5, np.arange(80) // 2
    found = binary_scores(tumours, chances, called, groups)
    healthy_right, alarms, missed, hits = confusion_matrix(tumours, called).ravel().tolist()
    assert (found.false_negatives, found.false_positives) == (missed, alarms)
    assert found.sensitivity.value == pytest.approx(hits / (hits + missed))
    assert found.specificity.value == pytest.approx(healthy_right / (healthy_right + alarms))
    assert found.accuracy.value == pytest.approx(accuracy_score(tumours, called))
    assert found.auc.value == pytest.approx(roc_auc_score(tumours, chances))
    assert found.auc.interval is not None
    assert "DeLong" in found.auc.interval.method
    assert found.sensitivity.n == tumours.sum()
    json.dumps(found.to_json(), allow_nan=False)


def test_perfect_ranking_has_no_interval_and_a_note() -> None:
    tumours = np.array([True, True, False, False])
    found = binary_scores(tumours, tumours.astype(float), tumours, np.arange(4))
    assert found.auc.value == 1
    assert found.auc.interval is None
    assert "perfect ranking" in found.auc.note


def test_scores_of_one_class_raise() -> None:
    with pytest.raises(UsageError, match="tumours and healthy scans"):
        binary_scores(np.ones(3, bool), np.ones(3), np.ones(3, bool), np.arange(3))


def test_compare_predictions_uses_discordant_scans() -> None:
    tumours = np.array([True] * 6 + [False] * 4)
    first, second = tumours.copy(), tumours.copy()
    first[:5] = False
    second[9] = True
    found = compare_predictions(tumours, first, second, np.arange(10))
    assert (found.only_first, found.only_second) == (1, 5)
