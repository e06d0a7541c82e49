from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from brainslice.evaluation.corruptions import CORRUPTIONS
from brainslice.report.figures import style
from brainslice.report.figures.robustness import draw_robustness
from sweeps import sweep


def test_each_change_has_a_panel_with_its_scores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept: list[Figure] = []
    monkeypatch.setattr(style, "_save", lambda drawn, _: kept.append(drawn))
    draw_robustness(sweep(), tmp_path / "robustness")
    (drawn,) = kept
    assert [axes.get_title(loc="left") for axes in drawn.axes] == [each.name for each in CORRUPTIONS]
    for axes in drawn.axes:
        accuracy, ece, referred = (list(line.get_ydata()) for line in axes.lines)
        assert accuracy == sorted(accuracy, reverse=True)
        assert ece == sorted(ece)
        assert referred == sorted(referred)
        assert len(accuracy) == 6
    assert len(drawn.legends) == 1
