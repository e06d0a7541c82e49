from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import brainslice
from stand_in import FOLDS


def test_prepare_and_audit_take_strings(trained: Path, tmp_path: Path) -> None:
    prepared = brainslice.prepare(str(trained / "source"), str(tmp_path), config={"data.folds": FOLDS}, copy=True)
    assert len(prepared.manifest.records) > 0
    assert brainslice.audit(str(trained / "source")).summary_lines()


def test_calibrate_recovers_a_temperature() -> None:
    draws = np.random.default_rng(3)
    logits = draws.normal(size=(4000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([draws.choice(3, p=row) for row in probabilities])
    assert brainslice.calibrate(2.0 * logits, labels).value == pytest.approx(2.0, rel=0.15)
