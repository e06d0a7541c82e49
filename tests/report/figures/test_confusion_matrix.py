from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.figures import style
from brainslice.report.figures.confusion_matrix import draw_confusion_matrices


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The texts inside each figure's matrix, once it is drawn."""
    found: dict[str, list[str]] = {}

    def keep(drawn: Figure, path: Path) -> None:
        found[path.name] = [text.get_text() for text in drawn.axes[0].texts]

    monkeypatch.setattr(style, "_save", keep)
    return found


def test_each_cell_shows_its_count(evaluation: Evaluation, cells: dict[str, list[str]], tmp_path: Path) -> None:
    draw_confusion_matrices(evaluation, tmp_path)
    assert cells["cm"] == [str(count) for count in evaluation.confusion.ravel().tolist()]


def test_each_row_shows_shares_with_the_recalls_interval_on_the_diagonal(
    evaluation: Evaluation, cells: dict[str, list[str]], tmp_path: Path
) -> None:
    draw_confusion_matrices(evaluation, tmp_path)
    shares = evaluation.confusion / evaluation.confusion.sum(axis=1, keepdims=True)
    for place, row in enumerate(evaluation.classes):
        assert row.recall.interval is not None
        bounds = f"{row.recall.interval.low:.2f}–{row.recall.interval.high:.2f}"
        assert cells["cm_norm"][place * 5] == f"{shares[place, place]:.2f}\n{bounds}"
    assert cells["cm_norm"][1] == f"{shares[0, 1]:.2f}"


def test_a_class_that_no_scan_has_has_no_shares(
    one_class: Evaluation, cells: dict[str, list[str]], tmp_path: Path
) -> None:
    draw_confusion_matrices(one_class, tmp_path)
    assert cells["cm_norm"][:4] == ["–"] * 4
