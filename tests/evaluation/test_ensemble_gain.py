from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.errors import DatasetError
from brainslice.evaluation.ensemble_gain import measure_gains, member_split
from brainslice.metrics.evaluation import ScoredSet

SCANS, MEMBERS, CLASSES = 240, 4, 3


def answers(seed: int, noise: float) -> tuple[ScoredSet, np.ndarray]:
    """Members that see the same truth through noise of their own; their mean logits make the ensemble."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, SCANS)
    logits = 2.0 * np.eye(CLASSES)[labels][:, np.newaxis] + rng.normal(0, noise, (SCANS, MEMBERS, CLASSES))
    ensemble = softmax(logits.mean(axis=1), axis=1)
    return ScoredSet(labels, np.arange(SCANS) // 3, ensemble, ensemble), logits


def test_gains_match_scikit_learn() -> None:
    scored, logits = answers(0, 1.5)
    accuracy, nll = measure_gains(scored, logits, (1.0, 1.0, 2.0, 0.5), seed=0)
    temperatures = np.array([1.0, 1.0, 2.0, 0.5])[:, np.newaxis]
    alone = softmax(logits / temperatures, axis=-1)
    correct = [accuracy_score(scored.labels, alone[:, place].argmax(axis=1)) for place in range(MEMBERS)]
    losses = [log_loss(scored.labels, alone[:, place]) for place in range(MEMBERS)]
    assert accuracy.members == pytest.approx(correct)
    assert nll.members == pytest.approx(losses)
    assert accuracy.ensemble == pytest.approx(accuracy_score(scored.labels, scored.probabilities.argmax(axis=1)))
    assert nll.ensemble == pytest.approx(log_loss(scored.labels, scored.probabilities))
    assert accuracy.difference == pytest.approx(accuracy.ensemble - np.mean(correct))


def test_averaging_noisy_members_gains() -> None:
    scored, logits = answers(1, 2.5)
    accuracy, nll = measure_gains(scored, logits, [1.0] * MEMBERS, seed=0)
    assert accuracy.interval is not None
    assert nll.interval is not None
    assert accuracy.interval.low > 0
    assert nll.interval.high < 0


@given(st.integers(0, 2**16))
def test_nll_of_mean_logits_is_at_most_the_mean_nll(seed: int) -> None:
    # Log-sum-exp is convex, so the loss of mean logits is at most the mean of the losses.
    scored, logits = answers(seed, 3.0)
    assert measure_gains(scored, logits, [1.0] * MEMBERS, seed=0)[1].difference <= 0


def test_identical_members_have_no_gain_and_no_interval() -> None:
    scored, logits = answers(2, 0.5)
    same = np.repeat(logits.mean(axis=1, keepdims=True), MEMBERS, axis=1)
    accuracy = measure_gains(scored, same, [1.0] * MEMBERS, seed=0)[0]
    assert accuracy.difference == 0.0
    assert accuracy.interval is None


def test_member_split_is_found_by_digest(prepared: Path) -> None:
    manifest = Manifest.read(prepared / "data")
    split = make_split(manifest, Protocol.CLEAN, 2, 0)
    assert member_split(prepared, split.digest, manifest).train.tolist() == split.train.tolist()
    with pytest.raises(DatasetError, match="its training scans are unknown"):
        member_split(prepared, "0" * 64, manifest)
