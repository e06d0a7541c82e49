from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from brainslice.metrics.abstention import AbstentionInputs, Answers, measure_abstention
from brainslice.metrics.bootstrap import resample
from brainslice.metrics.evaluation import Evaluation
from brainslice.report.figures import style
from brainslice.report.figures.evaluation import (
    draw_abstention,
    draw_calibration,
    draw_confusion_matrices,
    draw_curves,
)


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


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by name, once they are drawn."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(style, "_save", lambda drawn, path: found.__setitem__(path.name, drawn))
    return found


def test_every_class_has_its_line_told_apart_by_colour_and_dash(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_curves(evaluation, tmp_path)
    for drawn in figures.values():
        lines = drawn.axes[0].get_lines()[:4]
        assert len({line.get_color() for line in lines}) == 4
        assert len({line.get_linestyle() for line in lines}) == 4


def test_the_legend_tells_the_area_with_its_interval(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_curves(evaluation, tmp_path)
    for name, scores in (
        ("roc_curves", [curve.area for curve in evaluation.curves]),
        ("pr_curves", [curve.average_precision for curve in evaluation.curves]),
    ):
        (legend,) = figures[name].legends
        told = [text.get_text() for text in legend.get_texts()]
        assert all(score.text in text for score, text in zip(scores, told, strict=True))


def test_the_line_is_the_curve(evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path) -> None:
    draw_curves(evaluation, tmp_path)
    drawn = figures["roc_curves"].axes[0].get_lines()[0].get_xydata()
    assert (drawn == np.column_stack([evaluation.curves[0].roc.x, evaluation.curves[0].roc.y])).all()


def test_without_any_curve_the_figure_says_why(
    one_class: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_curves(one_class, tmp_path)
    for drawn in figures.values():
        assert any("undefined" in text.get_text() for text in drawn.axes[0].texts)
        assert not drawn.legends


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


@pytest.fixture
def cautious(evaluation: Evaluation) -> Evaluation:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(4, size=90), np.arange(90) // 3
    probabilities = rng.dirichlet(np.ones(4), size=90)
    answers = Answers(labels, groups, probabilities, evaluation.settings.label_set, 0.5)
    caution = AbstentionInputs(rng.random(90), (("out_of_distribution",), (), ()) * 30, rng.random((90, 4)) < 0.9, 0.9)
    return replace(evaluation, abstention=measure_abstention(answers, caution, resample(groups, 0, 50)))


def test_both_forms_are_drawn_and_two_runs_give_the_same_bytes(cautious: Evaluation, tmp_path: Path) -> None:
    for run in ("one", "two"):
        draw_abstention(cautious, tmp_path / run)
    names = ["risk_coverage.png", "risk_coverage.svg"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / names[0]) as drawn:
        assert drawn.width > 1500


def test_without_sets_the_curve_stands_alone(cautious: Evaluation, tmp_path: Path) -> None:
    assert cautious.abstention is not None
    draw_abstention(replace(cautious, abstention=replace(cautious.abstention, sets=None)), tmp_path)
    assert (tmp_path / "risk_coverage.png").stat().st_size > 5000


def test_a_class_without_scans_is_left_out_of_the_picture(cautious: Evaluation, tmp_path: Path) -> None:
    assert cautious.abstention is not None
    assert cautious.abstention.sets is not None
    first, *rest = cautious.abstention.sets.classes
    empty = replace(first, score=replace(first.score, value=None, interval=None))
    sets = replace(cautious.abstention.sets, classes=(empty, *rest))
    draw_abstention(replace(cautious, abstention=replace(cautious.abstention, sets=sets)), tmp_path)
    assert (tmp_path / "risk_coverage.svg").is_file()


def test_an_evaluation_that_knows_nothing_of_abstaining_draws_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    draw_abstention(evaluation, tmp_path)
    assert not list(tmp_path.iterdir())
