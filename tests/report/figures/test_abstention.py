from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.metrics.abstention import AbstentionInputs, Answers, measure_abstention
from brainslice.metrics.evaluation import Evaluation
from brainslice.metrics.intervals.bootstrap import resample
from brainslice.report.figures.abstention import draw_abstention


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
