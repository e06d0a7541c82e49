from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.figures import style
from brainslice.report.figures.calibration import draw_calibration


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by name, once they are drawn."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(style, "_save", lambda drawn, path: found.__setitem__(path.name, drawn))
    return found


def test_both_sides_of_the_temperature_tell_their_errors_with_intervals(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_calibration(evaluation, tmp_path)
    before, after = (axes.get_title(loc="left") for axes in figures["reliability_diagram"].axes[:2])
    assert next(score for score in evaluation.scores_before if score.name == "ece").text in before
    assert evaluation.score("ece").text in after
    assert "temperature 1.500" in after


def test_each_bin_that_holds_scans_has_its_dot_at_accuracy_and_confidence(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_calibration(evaluation, tmp_path)
    bins = evaluation.reliability.bins
    held = bins.counts > 0
    dots = figures["reliability_diagram"].axes[1].get_lines()[1].get_xydata()
    expected = np.column_stack([bins.confidence[held], bins.correct[held]]) / bins.counts[held][:, None]
    assert dots == pytest.approx(expected)


def test_the_histogram_parts_right_from_wrong(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_calibration(evaluation, tmp_path)
    right, wrong = figures["confidence_hist"].axes
    assert sum(bar.get_height() for bar in right.patches) == np.trace(evaluation.confusion)
    assert sum(bar.get_height() for bar in (*right.patches, *wrong.patches)) == evaluation.n
    assert str(np.trace(evaluation.confusion)) in right.get_title(loc="left")
