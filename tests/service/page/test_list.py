from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from browser import Visit, draw_tumour


def test_each_row_has_a_picture_and_a_tumour_its_class(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour, healthy)
    code = """canvases => canvases.map(canvas =>
        [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
            .filter((_, place) => place % 4 === 0))"""
    pictures = visit.page.eval_on_selector_all("#list canvas", code)
    assert [len(picture) for picture in pictures] == [44 * 44] * 2
    assert all(np.ptp(picture) > 100 for picture in pictures)
    kinds = visit.page.locator("#list .list-class").all_inner_texts()
    assert kinds[0].startswith("meningioma · ")
    assert kinds[1] == ""


def test_the_list_is_sorted_and_filtered_as_chosen(visit: Visit, tumour: Path, healthy: Path, tmp_path: Path) -> None:
    assert not visit.shown("#arrange")
    last = draw_tumour(tmp_path / "another.png")
    visit.choose(healthy, tumour, last)
    names = lambda: [row.split()[0] for row in visit.rows()]  # noqa: E731 - read again after each choice
    assert names() == ["second.png", "first.png", "another.png"]
    visit.page.select_option("#sort", "name")
    assert names() == ["another.png", "first.png", "second.png"]
    visit.page.select_option("#sort", "probability")
    assert names()[-1] == "second.png"
    visit.page.select_option("#filter", "no tumour")
    assert names() == ["second.png"]
    visit.page.select_option("#filter", "refer")
    assert names() == []
    visit.page.select_option("#filter", "all")
    visit.page.select_option("#sort", "added")
    assert names() == ["second.png", "first.png", "another.png"]


@pytest.mark.parametrize(
    ("healthy", "offered"),
    [("no_tumor", ["all", "tumour", "no tumour", "refer", "none"]), (None, ["all", "class", "refer", "none"])],
)
def test_the_filter_offers_the_verdicts_that_the_model_gives(
    visiting: Callable[..., Visit], tumour: Path, healthy: str | None, offered: list[str]
) -> None:
    visit = visiting()
    visit.change_answers("**/model", lambda said: said.update(healthy=healthy))
    visit.open()
    verdict = {} if healthy else {"verdict": "class", "tumour": None, "tumour_probability": None}
    visit.change_predictions(**verdict)
    code = "options => options.filter(option => !option.hidden).map(option => option.value)"
    assert visit.page.eval_on_selector_all("#filter option", code) == offered
    visit.choose(tumour, tumour)
    visit.page.select_option("#filter", offered[1])
    assert len(visit.rows()) == 2


def test_example_is_predicted_with_one_click(visit: Visit) -> None:
    loaded = "images => images.every(image => image.complete && image.naturalWidth > 100)"
    assert visit.page.eval_on_selector_all(".examples img", loaded)
    visit.page.click("[data-example=phantom-tumour]")
    visit.settle(1)
    visit.page.click("[data-example=phantom-healthy]")
    visit.settle(2)
    assert [row.split()[0] for row in visit.rows()] == ["phantom-tumour.png", "phantom-healthy.png"]
    assert visit.shown("#bars") or visit.shown("#warnings")
