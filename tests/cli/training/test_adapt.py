from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brainslice.decision.temperature import Temperature
from brainslice.errors import ForgettingError
from brainslice.evaluation.external_validation import Method, compare_methods
from brainslice.metrics.binary import binary_scores
from brainslice.paths import ProjectPaths
from brainslice.training.adaptation import pipeline as adapting
from brainslice.training.adaptation.bundle import Outcome
from brainslice.training.adaptation.nested_cv import Setting, TunedThreshold
from brainslice.training.adaptation.pipeline import AdaptationResult, CurvePoint
from command import WORDS, call
from stand_in import config, write_bundle_for

Capture = pytest.CaptureFixture[str]
TUMOURS = np.arange(12) < 6


@pytest.fixture
def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let a drawn bundle stand in for what adapting leaves, and keep what was asked."""
    bundle = write_bundle_for(ProjectPaths.of(project, config()), config())
    found: dict[str, Any] = {"error": None}

    def adapt(places: ProjectPaths, settings: object, folder: Path, base: Path, **words: object) -> AdaptationResult:
        found.update(places=places, settings=settings, folder=folder, base=base, **words)
        if found["error"] is not None:
            raise found["error"]
        chances = np.where(TUMOURS, 0.8, 0.3) + np.linspace(0, 0.1, 12)
        ways = [
            Method("base", chances, ~TUMOURS, "as it is", 0.9),
            Method("tail", chances, TUMOURS, "new", 0.89),
        ]
        scores = binary_scores(TUMOURS, chances, TUMOURS, np.arange(12))
        outcome = Outcome(Setting(0.001, 0), TunedThreshold(Temperature(1.0), 0.5), np.zeros((1, 4)), 0.9, 0.89)
        points = (CurvePoint(0, scores), CurvePoint(None, scores))
        network = places.models / "finetuned_elsewhere.keras"
        entries = compare_methods(TUMOURS, np.arange(12), ways)
        return AdaptationResult(bundle, network, ("elsewhere: 12 pictures",), entries, points, outcome)

    monkeypatch.setattr(adapting, "adapt", adapt)
    return found


def test_the_table_the_curve_and_the_price_are_told_and_written(
    project: Path, asked: dict[str, Any], tmp_path: Path, capsys: Capture
) -> None:
    site = tmp_path / "elsewhere"
    assert call("adapt", "--data", site, "--project-root", project, "--seed", "5", *WORDS) == 0
    said = capsys.readouterr()
    assert "Ways to another site, out of fold" in said.out
    assert "How many labelled scans are enough" in said.out
    assert "0.900 before, 0.890 after" in said.out
    assert "PHANTOM" in said.out
    assert "saw all of the site's scans" in said.err
    assert asked["folder"] == site
    assert asked["base"] == project / "models" / "bundle"
    assert asked["settings"].seed == 5
    assert asked["accept_forgetting"] is False
    assert json.loads((project / "reports" / "external" / "elsewhere_adaptation.json").read_text()) == {}


def test_forgetting_ends_in_one_line_and_can_be_accepted(project: Path, asked: dict[str, Any], capsys: Capture) -> None:
    asked["error"] = ForgettingError("the adapted network forgets")
    assert call("adapt", "--project-root", project, *WORDS) == 2
    assert "forgets" in capsys.readouterr().err
    asked["error"] = None
    assert call("adapt", "--project-root", project, "--accept-forgetting", *WORDS) == 0
    assert asked["accept_forgetting"] is True
    assert asked["folder"] == project / "data" / "external_navoneel"
