from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from brainslice.decision.operating_point import Criterion, Target
from brainslice.decision.threshold_search import TumourScores
from brainslice.evaluation.operating_points import (
    OperatingPointRequest,
    OperatingPointResult,
    find_operating_point,
    tuning_decision_curve,
)
from brainslice.evaluation.tuning_data import TuningScans
from brainslice.report.figures import style
from brainslice.report.figures.decision_curve import write_operating_points


@pytest.fixture
def scans() -> TuningScans:
    rng = np.random.default_rng(0)
    tumour = np.arange(120) % 2 == 0
    scores = 1 / (1 + np.exp(-rng.normal(3.0 * tumour - 1.5, 1.0)))
    return TuningScans(TumourScores(scores, tumour, np.arange(120)), None, "drawn", (), allows_guarantee=True)


@pytest.fixture
def found(scans: TuningScans) -> tuple[OperatingPointResult, ...]:
    return tuple(
        find_operating_point(OperatingPointRequest(Target(*goal)), scans)
        for goal in ((Criterion.YOUDEN,), (Criterion.COST, 4.0))
    )


def test_every_point_and_the_curve_are_written(
    scans: TuningScans, found: tuple[OperatingPointResult, ...], tmp_path: Path
) -> None:
    write_operating_points(found, tuning_decision_curve(scans, 0.1), "drawn", ("phantom",), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "youden.json", "cost-ratio-4.json", "decision_curve.json", "decision_curve.png", "decision_curve.svg",
    }  # fmt: skip
    told = json.loads((tmp_path / "cost-ratio-4.json").read_text())
    assert told["threshold"] == found[1].point.threshold
    assert told["warnings"] == ["phantom"]
    curve = json.loads((tmp_path / "decision_curve.json").read_text())
    assert curve["prevalence"] == 0.1


def test_the_figure_shows_the_model_beside_acting_on_all_and_none(
    scans: TuningScans, found: tuple[OperatingPointResult, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(style, "_save", lambda figure, path: drawn.__setitem__(path.name, figure))
    curve = tuning_decision_curve(scans, None)
    write_operating_points(found, curve, "drawn", ("leaky",), tmp_path)
    (axes,) = drawn["decision_curve"].axes
    (legend,) = drawn["decision_curve"].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "acting on the model",
        "acting on all",
        "acting on none",
        *(f"{each.point.name}: threshold {each.point.threshold:.3g}" for each in found),
    ]
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), curve.model)
    assert any("LEAKY" in text.get_text() for text in drawn["decision_curve"].texts)


def test_the_same_search_draws_the_same_bytes(
    scans: TuningScans, found: tuple[OperatingPointResult, ...], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        write_operating_points(found, tuning_decision_curve(scans, None), "drawn", (), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
