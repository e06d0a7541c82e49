from __future__ import annotations

import numpy as np
import pytest

import brainslice


def test_calibrate_recovers_a_temperature() -> None:
    draws = np.random.default_rng(3)
    logits = draws.normal(size=(4000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([draws.choice(3, p=row) for row in probabilities])
    assert brainslice.calibrate(2.0 * logits, labels).value == pytest.approx(2.0, rel=0.15)
