from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from browser import Visit

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
STOPS = (
    "clear",
    "first.png",
    "export-json",
    "export-png",
    "export-html",
    "map-on",
    "map-class",
    "opacity",
    "threshold",
)
"""What the Tab key comes by, in this order, once there is a result."""

NARROW = {"width": 360, "height": 740}


def violations(visit: Visit) -> list[str]:
    """What axe-core finds wrong with the page as it stands."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python, of the dev extra")
    visit.page.evaluate(axe.AXE_SCRIPT)
    found = visit.page.evaluate(
        "rules => axe.run(document, { runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] })",
        list(RULES),
    )
    return [
        f"{one['id']}: {node['html']} ({node['failureSummary']})"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def overflow(visit: Visit) -> int:
    """How many pixels the page is wider than the window."""
    return int(visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(
    ("language", "theme"),
    [
        ("en", "light"),
        ("es", "dark"),
        pytest.param("en", "dark", marks=pytest.mark.slow_only),
        pytest.param("es", "light", marks=pytest.mark.slow_only),
    ],
)
def test_axe_finds_nothing_wrong(
    visiting: Callable[..., Visit], tumour: Path, tmp_path: Path, language: str, theme: str
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no scan", encoding="utf-8")
    visit = visiting(color_scheme=theme, locale={"en": "en-GB", "es": "es-ES"}[language]).open()
    assert visit.page.get_attribute("html", "lang") == language
    assert violations(visit) == []
    reasons = [{"code": "out_of_distribution", "message": "unlike"}, {"code": "undecided", "message": "open"}]
    visit.choose(tumour, text)
    visit.page.click("#card summary")
    assert violations(visit) == []
    visit.select(2)
    assert violations(visit) == []
    visit.change_predictions(verdict="refer", reasons=reasons, warnings=["leaky"])
    visit.choose(tumour, rows=3)
    visit.select(3)
    assert violations(visit) == []
    visit.choose(several_pages(tmp_path), rows=4)
    visit.select(4)
    assert visit.shown("#frames")
    assert violations(visit) == []


def several_pages(folder: Path) -> Path:
    """A picture of which one page has to be chosen."""
    page = Image.new("L", (64, 64), 90)
    page.save(folder / "pages.tif", save_all=True, append_images=[page, page])
    return folder / "pages.tif"


def test_the_main_task_is_done_by_keyboard_alone(visiting: Callable[..., Visit], tumour: Path, healthy: Path) -> None:
    visit = visiting(fresh=True).open()
    press = visit.page.keyboard.press
    # Chromium takes a moment to hand its file dialogs over; asked for only at the key press, one can slip through.
    visit.page.on("filechooser", lambda _: None)
    press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    press("Enter")
    press("Tab")
    assert visit.page.evaluate("document.activeElement.id") == "pick"
    with visit.page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files([str(tumour), str(healthy)])
    visit.settle(2)
    reached = walk(visit, 30)
    assert [name for name in reached if name in STOPS][: len(STOPS)] == list(STOPS)


def walk(visit: Visit, steps: int) -> list[str]:
    """Press Tab so often, and name what has the focus each time."""
    reached = []
    for _ in range(steps):
        visit.page.keyboard.press("Tab")
        code = "(document.activeElement.id || document.activeElement.querySelector('.list-name')?.textContent) ?? ''"
        reached.append(str(visit.page.evaluate(code)))
    return reached


def test_arrow_keys_move_through_the_list_and_show_each_result(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour, healthy)
    visit.page.focus("#list li:first-child button")
    visit.page.keyboard.press("ArrowDown")
    assert visit.words("#verdict .verdict-word") == "No tumour"
    assert visit.page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
    visit.page.keyboard.press("Home")
    assert visit.words("#verdict .verdict-word") == "Tumour"


def test_every_control_shows_when_it_has_the_focus(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.evaluate("document.body.focus()")
    unseen = []
    for _ in range(15):
        visit.page.keyboard.press("Tab")
        code = (
            "getComputedStyle(document.activeElement).outlineStyle === 'none' ? document.activeElement.outerHTML : ''"
        )
        unseen.append(visit.page.evaluate(code))
    assert [found for found in unseen if found] == []


def test_results_are_read_aloud_politely(visit: Visit, tumour: Path) -> None:
    assert visit.page.get_attribute("#announcements", "role") == "status"
    visit.choose(tumour)
    assert "first.png: Tumour." in visit.words("#announcements")
    assert "1 of 1 done" in visit.words("#announcements")


def test_no_meaning_rests_on_colour_alone(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour, healthy)
    shapes = visit.page.eval_on_selector_all("#list .sign", "signs => signs.map(sign => sign.innerHTML)")
    assert len(set(shapes)) == 2
    assert all(row.endswith(("Tumour", "No tumour")) for row in visit.rows())


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("size", [NARROW, {"width": 640, "height": 450}], ids=["360 pixels", "1280 at 200 percent"])
def test_nothing_is_wider_than_the_window(
    visiting: Callable[..., Visit], tumour: Path, size: dict[str, int], language: str
) -> None:
    visit = visiting(viewport=size, locale={"en": "en-GB", "es": "es-ES"}[language]).open()
    assert overflow(visit) <= 0
    visit.choose(tumour)
    assert overflow(visit) <= 0
    cut = """() => [...document.querySelectorAll("button, p, h2, h3, dt, dd, label, select")]
        .filter((node) => node.checkVisibility() && !node.closest(".unseen, .skip"))
        .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 || node.getBoundingClientRect().left < -1)
        .map((node) => node.outerHTML)"""
    assert visit.page.evaluate(cut) == []


def test_text_may_be_set_at_twice_its_size(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.evaluate("document.documentElement.style.fontSize = '32px'")
    assert overflow(visit) <= 0


def test_the_research_line_stays_in_sight_at_the_end_of_a_long_page(
    visiting: Callable[..., Visit], tumour: Path
) -> None:
    visit = visiting(viewport=NARROW).open()
    visit.choose(tumour)
    visit.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    box = visit.page.locator("#research").bounding_box()
    assert 0 <= box["y"] <= NARROW["height"] - box["height"]
    assert "Research use only." in visit.words("#research")


def test_nothing_moves_for_who_wants_no_motion(visiting: Callable[..., Visit], tumour: Path) -> None:
    visit = visiting(reduced_motion="reduce").open()
    visit.choose(tumour)
    moving = """() => [...document.querySelectorAll("*")].map((node) => getComputedStyle(node))
        .filter((style) => style.transitionDuration !== "0s" || style.animationName !== "none").length"""
    assert visit.page.evaluate(moving) == 0


def test_the_page_speaks_the_language_of_the_browser_and_switches_at_once(
    visiting: Callable[..., Visit], tumour: Path
) -> None:
    visit = visiting(locale="es-MX").open()
    assert "Suelte, pegue o elija imágenes" in visit.words("#drop")
    visit.choose(tumour)
    assert visit.words("#verdict .verdict-word") == "Tumor"
    visit.page.select_option("#language", "en")
    assert visit.words("#verdict .verdict-word") == "Tumour"
    assert visit.page.get_attribute("html", "lang") == "en"
    assert visit.rows() == ["first.png Tumour"]


def test_a_language_nobody_translated_falls_back_to_english(visiting: Callable[..., Visit]) -> None:
    visit = visiting(locale="fr-FR").open()
    assert visit.page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize(
    ("system", "choice", "ground"), [("dark", "system", "dark"), ("dark", "light", "light"), ("light", "dark", "dark")]
)
def test_the_appearance_is_the_systems_until_another_is_chosen(
    visiting: Callable[..., Visit], system: str, choice: str, ground: str
) -> None:
    visit = visiting(color_scheme=system).open()
    visit.page.select_option("#theme", choice)
    found = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(level) for level in found.removeprefix("rgb(").rstrip(")").split(",")]
    assert ("dark" if max(levels) < 60 else "light") == ground
