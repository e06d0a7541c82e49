from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from brainslice.errors import UsageError
from brainslice.metrics import baseline
from brainslice.metrics.baseline import fit_baseline


def statistics(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 4
    return (rng.normal(size=(n, 36)) + labels[:, None]).astype(np.float32), labels


def test_baseline_is_deterministic() -> None:
    values, labels = statistics()
    noisy = np.concatenate([values, values])
    doubted = np.concatenate([labels, (labels + 1) % 4])
    votes = [fit_baseline(noisy, doubted, 4, 7).probabilities(values) for _ in range(2)]
    assert votes[0].tobytes() == votes[1].tobytes()


def test_baseline_equals_scikit_learn(all_trees: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "TREES", all_trees)
    values, labels = statistics()
    oracle = RandomForestClassifier(n_estimators=300, random_state=3).fit(values, labels)
    assert fit_baseline(values, labels, 4, 3).probabilities(values) == pytest.approx(oracle.predict_proba(values))


def test_classes_without_training_scans_have_probability_zero() -> None:
    values, labels = statistics()
    kept = labels != 2
    votes = fit_baseline(values[kept], labels[kept], 4, 0).probabilities(values)
    assert votes.shape == (120, 4)
    assert (votes[:, 2] == 0).all()
    assert votes.sum(axis=1) == pytest.approx(1.0)


def test_baseline_separates_by_brightness() -> None:
    values, labels = statistics(400)
    votes = fit_baseline(values[:200], labels[:200], 4, 0).probabilities(values[200:])
    assert (votes.argmax(axis=1) == labels[200:]).mean() > 0.9


@pytest.mark.parametrize("labels", [np.full(120, 4), np.full(120, -1)])
def test_unknown_classes_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="labelled 0 to 3"):
        fit_baseline(statistics()[0], labels, 4, 0)


def test_invalid_statistics_raise() -> None:
    values, labels = statistics()
    with pytest.raises(UsageError, match="labelled"):
        fit_baseline(values[:0], labels[:0], 4, 0)
    with pytest.raises(UsageError, match="finite"):
        fit_baseline(np.full_like(values, np.nan), labels, 4, 0)
