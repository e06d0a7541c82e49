from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from brainslice.labels import LabelSet
from brainslice.metrics.evaluation import Evaluation, EvaluationSettings, ScoredSet, evaluate

TERMS = EvaluationSettings(LabelSet(), "drawn", "clean", temperature=1.5, draws=100)


def scored(n: int = 240, seed: int = 0) -> ScoredSet:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    logits = rng.normal(size=(n, 4)) * 2 + 3 * np.eye(4)[labels]
    floor = softmax(rng.normal(size=(n, 4)) + np.eye(4)[labels], axis=1)
    return ScoredSet(labels, np.arange(n) // 3, softmax(logits / 1.5, axis=1), softmax(logits, axis=1), floor)


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """A clean evaluation without marks."""
    return evaluate(scored(), TERMS)


@pytest.fixture(scope="session")
def marked() -> Evaluation:
    """A leaky evaluation of drawn heads."""
    return evaluate(scored(seed=1), replace(TERMS, protocol="official", warnings=("phantom", "leaky")))


@pytest.fixture(scope="session")
def one_class() -> Evaluation:
    """An evaluation of scans that are all healthy, most classes undefined."""
    subject = scored(60)
    return evaluate(replace(subject, labels=np.full(60, 2), baseline=None), TERMS)
