from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.figures import style
from brainslice.report.figures.evaluation import draw_calibration, draw_confusion_matrices, draw_curves
from brainslice.report.figures.style import FigureFile, figure

ORANGE = (213, 94, 0)
DRAWING_FUNCTIONS = (draw_confusion_matrices, draw_curves, draw_calibration)


def draw(path: Path, marks: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    with figure(
        FigureFile(path, 3.0, 2.0, "A caption of some length, which has to be broken into lines.", marks)
    ) as drawn:
        drawn.subplots().plot([0, 1], [0, 1])
    return path.with_suffix(".png").read_bytes(), path.with_suffix(".svg").read_bytes()


def test_two_drawings_have_the_same_bytes(tmp_path: Path) -> None:
    assert draw(tmp_path / "one") == draw(tmp_path / "other")


def test_a_persons_own_settings_change_nothing_and_stay_as_they_were(tmp_path: Path) -> None:
    plain = draw(tmp_path / "plain")
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 20, "axes.facecolor": "red"}):
        assert draw(tmp_path / "styled") == plain
        assert mpl.rcParams["font.size"] == 30


def test_pictures_are_fit_for_print(tmp_path: Path) -> None:
    draw(tmp_path / "drawn")
    with Image.open(tmp_path / "drawn.png") as picture:
        assert picture.width == 900
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_caption_and_stamp_do_not_shrink_the_plot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(style, "_save", lambda drawn, _: figures.append(drawn))
    for caption, warnings in (("Short.", ()), ("A long caption of many lines. " * 9, ("phantom", "leaky"))):
        with figure(FigureFile(tmp_path / "drawn", 3.0, 2.0, caption, warnings)) as drawn:
            drawn.subplots().plot([0, 1], [0, 1], label="line")
            drawn.legend(loc="outside upper left")
    sizes = [np.array(each.axes[0].get_position().size) * each.get_size_inches() for each in figures]
    np.testing.assert_allclose(*sizes, atol=0.01)
    for drawn in figures:
        drawn.canvas.draw()
        legend, axes = drawn.legends[0].get_window_extent(), drawn.axes[0].get_window_extent()
        assert legend.y0 > axes.y1


def test_no_file_tells_when_or_by_what_it_was_made(tmp_path: Path) -> None:
    png, svg = draw(tmp_path / "drawn")
    for secret in (b"<dc:date>", b"Matplotlib v", b"Software"):
        assert secret not in png + svg


@pytest.mark.parametrize("marks", [("leaky",), ("phantom",), ("phantom", "leaky"), ("unheard-of",)])
def test_a_mark_is_stamped_in_colour_over_the_figure(tmp_path: Path, marks: tuple[str, ...]) -> None:
    draw(tmp_path / "plain")
    draw(tmp_path / "marked", marks)
    stamped = []
    for name in ("plain", "marked"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            stamped.append(int((np.asarray(picture.convert("RGB")) == ORANGE).all(axis=2).sum()))
    assert stamped[0] == 0
    assert stamped[1] > 5000


def test_a_drawing_that_fails_leaves_the_earlier_one_alone(tmp_path: Path) -> None:
    before = draw(tmp_path / "drawn")
    with pytest.raises(ZeroDivisionError), figure(FigureFile(tmp_path / "drawn", 3.0, 2.0, "")) as drawn:
        drawn.subplots().plot([0], [1 / 0])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["drawn.png", "drawn.svg"]
    assert (tmp_path / "drawn.png").read_bytes() == before[0]


def texts_of(drawn: Figure) -> list[Text]:
    """All texts that are shown; axes keep labels of ticks outside their limits, which are not."""
    found = [text for text in drawn.findobj(Text) if isinstance(text, Text)]
    for axis in (axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)):
        shown = {id(tick.label1) for tick in axis._update_ticks()}
        pool = (tick.label1 for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()))
        hidden = {id(label) for label in pool} - shown
        found = [text for text in found if id(text) not in hidden]
    return [text for text in found if text.get_visible() and text.get_text() and text.get_window_extent().width > 0]


@pytest.mark.parametrize("draw", DRAWING_FUNCTIONS)
@pytest.mark.parametrize("name", ["marked", "one_class"])
def test_no_two_texts_of_a_figure_overlap_and_none_is_cut_off(
    draw: Callable[[Evaluation, Path], None],
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(style, "_save", lambda drawn, _: figures.append(drawn))
    draw(request.getfixturevalue(name), tmp_path)
    assert figures
    for drawn in figures:
        drawn.canvas.draw()
        width, height = drawn.canvas.get_width_height()
        for text in texts_of(drawn):
            box = text.get_window_extent()
            assert box.x0 >= -1, text
            assert box.y0 >= -1, text
            assert box.x1 <= width + 1, text
            assert box.y1 <= height + 1, text
        for one, other in combinations(texts_of(drawn), 2):
            # A pixel is no overlap that anybody sees.
            boxes = [text.get_window_extent().padded(-1) for text in (one, other)]
            assert not boxes[0].overlaps(boxes[1]), (one, other)
