from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from brainslice.report.figures import style
from brainslice.report.figures.history import draw_history
from brainslice.training.history import Epoch

SCORES = (0.9, 0.7, 0.5, 0.4, 0.45)


def epochs() -> list[Epoch]:
    stages = ("head", "head", "tail", "tail", "all")
    return [
        Epoch(number + 1, stage, 1e-3, 1.0 - 0.1 * number, 0.5 + 0.1 * number, score + 0.1, 0.6, score, 0.5)
        for number, (stage, score) in enumerate(zip(stages, SCORES, strict=True))
    ]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by name, once they are drawn."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(style, "_save", lambda drawn, path: found.__setitem__(path.name, drawn))
    return found


def test_training_and_validation_are_drawn_epoch_by_epoch(figures: dict[str, Figure], tmp_path: Path) -> None:
    draw_history(epochs(), tmp_path)
    training, validation = figures["loss_curve"].axes[0].get_lines()[:2]
    assert training.get_ydata() == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6])
    assert validation.get_ydata() == pytest.approx([score + 0.1 for score in SCORES])


def test_the_chosen_epoch_is_the_one_with_the_least_validation_score(
    figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_history(epochs(), tmp_path)
    for drawn in figures.values():
        assert drawn.axes[0].get_lines()[2].get_xdata() == pytest.approx([4])


def test_stages_are_named_and_parted_by_a_line(figures: dict[str, Figure], tmp_path: Path) -> None:
    draw_history(epochs(), tmp_path)
    axes = figures["acc_curve"].axes[0]
    assert [text.get_text() for text in axes.texts] == ["head only", "last blocks", "all layers"]
    assert [line.get_xdata()[0] for line in axes.get_lines()[3:]] == [2.5, 4.5]


def test_the_caption_says_which_data_when_told(figures: dict[str, Figure], tmp_path: Path) -> None:
    draw_history(epochs(), tmp_path, ("phantom",), "Data: drawn, clean protocol, 40 scans of 10 groups.")
    drawn = figures["acc_curve"]
    caption, stamp = (text.get_text().replace("\n", " ") for text in drawn.texts)
    assert "40 scans of 10 groups" in caption
    assert "PHANTOM" in stamp


def test_without_any_epoch_nothing_is_drawn(tmp_path: Path) -> None:
    draw_history([], tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_single_epoch_can_be_drawn(tmp_path: Path) -> None:
    draw_history(epochs()[:1], tmp_path)
    names = {f"{stem}.{kind}" for stem in ("acc_curve", "loss_curve") for kind in ("png", "svg")}
    assert {path.name for path in tmp_path.iterdir()} == names
