from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from browser import Visit

NARROW = {"width": 360, "height": 740}
MOVES = """() => {
    window.moves = [];
    const real = Element.prototype.scrollIntoView;
    Element.prototype.scrollIntoView = function (how) { window.moves.push(how.behavior); real.call(this, how); };
}"""


@pytest.fixture
def narrow(visiting: Callable[..., Visit]) -> Visit:
    return visiting(viewport=NARROW, reduced_motion="reduce").open()


def focus(visit: Visit) -> str:
    return str(visit.page.evaluate("document.activeElement.id || document.activeElement.tagName"))


def top(visit: Visit, selector: str) -> float:
    return float(visit.page.locator(selector).bounding_box()["y"])


def test_a_result_comes_into_sight_below_the_research_line_with_the_focus(narrow: Visit, tumour: Path) -> None:
    narrow.page.focus("#pick")
    narrow.choose(tumour)
    research = narrow.page.locator("#research").bounding_box()
    assert research["y"] + research["height"] <= top(narrow, "#result-title") < NARROW["height"] / 3
    assert top(narrow, "#verdict") < NARROW["height"] / 2
    assert focus(narrow) == "result-title"
    narrow.page.keyboard.press("Tab")
    assert focus(narrow) == "export-json"


def test_a_refusal_comes_into_sight_as_well(narrow: Visit, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no scan", encoding="utf-8")
    narrow.choose(tmp_path / "notes.txt")
    box = narrow.page.locator("#verdict").bounding_box()
    assert 0 < box["y"] < box["y"] + box["height"] < NARROW["height"]
    assert focus(narrow) == "result-title"


def test_results_after_the_first_leave_the_page_where_it_is(narrow: Visit, tumour: Path, healthy: Path) -> None:
    narrow.choose(tumour)
    narrow.page.evaluate("scrollTo(0, 0)")
    narrow.page.focus("#pick")
    narrow.choose(healthy, rows=2)
    assert narrow.page.evaluate("scrollY") == 0
    assert focus(narrow) == "pick"


def test_a_row_that_is_pressed_shows_its_result_and_one_that_is_walked_over_keeps_the_focus(
    narrow: Visit, tumour: Path, healthy: Path
) -> None:
    narrow.choose(tumour, healthy)
    narrow.page.focus("#list li:first-child button")
    narrow.page.keyboard.press("ArrowDown")
    assert narrow.words("#result-title") == "second.png"
    assert narrow.page.evaluate("document.activeElement.closest('#list') !== null")
    narrow.page.keyboard.press("Enter")
    assert focus(narrow) == "result-title"
    assert top(narrow, "#result-title") < NARROW["height"] / 3


def test_a_wide_window_shows_the_result_without_moving_anything(visit: Visit, tumour: Path) -> None:
    visit.page.evaluate(MOVES)
    visit.page.focus("#pick")
    visit.choose(tumour)
    assert visit.page.evaluate("window.moves") == []
    assert focus(visit) == "pick"


@pytest.mark.parametrize(("wish", "how"), [("reduce", "instant"), ("no-preference", "smooth")])
def test_the_page_glides_only_for_who_does_not_mind_motion(
    visiting: Callable[..., Visit], tumour: Path, wish: str, how: str
) -> None:
    visit = visiting(viewport=NARROW, reduced_motion=wish).open()
    visit.page.evaluate(MOVES)
    visit.choose(tumour)
    assert visit.page.evaluate("window.moves") == [how]


def test_the_button_that_was_pressed_does_not_take_the_focus_with_it(visit: Visit, tumour: Path) -> None:
    visit.page.route("**/explain*", lambda route: route.abort("connectionrefused"))
    visit.choose(tumour)
    visit.page.unroute("**/explain*")
    visit.page.focus("#verdict button")
    visit.page.keyboard.press("Enter")
    visit.settle(1)
    assert focus(visit) == "result-title"
