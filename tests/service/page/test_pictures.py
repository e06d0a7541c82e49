from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brainslice import Predictor
from brainslice.inference.heat_map import upsample
from brainslice.inference.overlay import apply_colormap, draw_overlay
from browser import Visit


def overflow(visit: Visit) -> int:
    """How many pixels the page is wider than the window."""
    return int(visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def shown(visit: Visit, canvas: str) -> np.ndarray:
    width, height = visit.page.eval_on_selector(f"#{canvas}", "canvas => [canvas.width, canvas.height]")
    return np.array(visit.pixels(canvas), dtype=np.uint8).reshape(height, width, 4)


def test_what_the_model_saw_is_shown_pixel_for_pixel(visit: Visit, tumour: Path, served_bundle: Path) -> None:
    visit.choose(tumour)
    visit.slide("#opacity", 0)
    seen = Predictor.open(served_bundle).predict(tumour).network_input
    picture = shown(visit, "seen")
    assert (picture[..., 3] == 255).all()
    assert (picture[..., :3] == seen[..., np.newaxis]).all()


def test_the_original_is_shown_beside_it_in_its_own_size(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    assert shown(visit, "original").shape == (240, 200, 4)
    left, right = (visit.page.locator(f"#{name}").bounding_box() for name in ("original", "seen"))
    assert left["x"] + left["width"] <= right["x"]
    assert left["y"] == right["y"]


def test_switching_the_map_off_is_the_same_as_opacity_0(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    # The one class for which the stand-in finds any evidence.
    visit.page.select_option("#map-class", "no_tumor")
    visit.page.uncheck("#map-on")
    off = visit.pixels("seen")
    visit.page.check("#map-on")
    assert visit.pixels("seen") != off
    visit.slide("#opacity", 0)
    assert visit.pixels("seen") == off


@pytest.mark.parametrize("percent", [10, 65, 100])
@pytest.mark.parametrize("name", ["glioma", "no_tumor"])
def test_the_overlay_is_that_of_the_command_line(
    visit: Visit, tumour: Path, served_bundle: Path, name: str, percent: int
) -> None:
    answer = Predictor.open(served_bundle).predict(tumour)
    visit.choose(tumour)
    visit.page.select_option("#map-class", name)
    visit.slide("#opacity", percent)
    drawn = draw_overlay(answer.network_input, answer.heat_map(name), percent / 100)
    distance = np.abs(shown(visit, "seen")[..., :3].astype(int) - drawn)
    # The service rounds maps to six digits, which may turn a half the other way.
    assert distance.max() <= 1


def test_coarse_maps_are_spread_as_python_spreads_them(visit: Visit) -> None:
    grid = np.random.default_rng(3).random((7, 5)).astype(np.float32)
    code = "async grid => [...(await import('/picture.js')).upsample(grid, 96, 64)]"
    spread = np.array(visit.page.evaluate(code, grid.tolist())).reshape(64, 96)
    assert spread == pytest.approx(upsample(grid, 64, 96), abs=1e-6)


def test_colours_are_those_of_the_command_line(visit: Visit) -> None:
    levels = np.linspace(0, 1, 101, dtype=np.float32)
    code = "async levels => { const { colour } = await import('/picture.js'); return levels.map(colour); }"
    found = np.rint(visit.page.evaluate(code, levels.tolist()))
    assert np.abs(found - apply_colormap(levels[np.newaxis, :])[0]).max() <= 1


def test_another_class_has_another_map_and_the_picture_says_which(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.select_option("#map-class", "no_tumor")
    assert "class map for no tumour at 65\u00a0% opacity" in visit.page.get_attribute("#seen", "aria-label")
    visit.slide("#opacity", 0)
    assert "class map" not in visit.page.get_attribute("#seen", "aria-label")


def test_the_map_is_for_the_most_probable_class_at_first(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour, healthy)
    assert visit.page.input_value("#map-class") == "meningioma"
    visit.select(2)
    assert visit.page.input_value("#map-class") == "no_tumor"


def test_the_caption_says_that_the_map_is_no_outline(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    assert "Colours show what influenced the model" in visit.words("#map .note")
    assert "They are not the outline of a tumour." in visit.words("#map .note")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_lie_on_true_black(visit: Visit, tumour: Path, theme: str) -> None:
    visit.page.select_option("#theme", theme)
    visit.choose(tumour)
    grounds = visit.page.eval_on_selector_all(".screen", "nodes => nodes.map(n => getComputedStyle(n).backgroundColor)")
    assert grounds == ["rgb(0, 0, 0)"] * 2


def test_a_single_picture_bears_no_letters_for_sides_nobody_knows(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    assert not visit.shown(".side.left")


def test_both_pictures_are_enlarged_together_and_scroll_together(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    before = visit.pixels("original")
    visit.slide("#zoom", 400)
    widths = "panes => panes.map(pane => pane.scrollWidth / pane.clientWidth)"
    assert visit.page.eval_on_selector_all(".pane", widths) == pytest.approx([4, 4], abs=0.05)
    visit.page.evaluate("document.querySelector('.pane').scrollTo(10, 20)")
    visit.page.wait_for_function("() => document.querySelectorAll('.pane')[1].scrollTop === 20")
    visit.page.click("#view-reset")
    assert visit.page.eval_on_selector_all(".pane", widths) == pytest.approx([1, 1], abs=0.01)
    assert visit.pixels("original") == before


def test_level_and_window_spread_the_grey_levels_chosen(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    before = shown(visit, "original")[..., 0].astype(float)
    visit.slide("#level", 30)
    visit.slide("#window", 20)
    expected = np.clip((before - 255 * 0.2) / 0.2, 0, 255)
    assert np.abs(shown(visit, "original")[..., 0] - expected).max() <= 1
    assert (shown(visit, "original")[..., 3] == 255).all()


def test_the_colours_have_a_labelled_scale(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    assert visit.words("#map .scale") == "0 % influence 100 %, the maximum"
    box = visit.page.locator(".ramp").bounding_box()
    assert box["width"] >= 80


@pytest.mark.parametrize("width", [390, 1440, 1920])
def test_the_result_is_neither_wider_nor_emptier_than_the_window(
    visiting: Callable[..., Visit], tumour: Path, healthy: Path, width: int
) -> None:
    visit = visiting(viewport={"width": width, "height": 900}).open()
    assert overflow(visit) <= 0
    visit.choose(tumour, healthy)
    assert overflow(visit) <= 0
    used = visit.page.evaluate(
        """() => { const box = document.querySelector("main").getBoundingClientRect();
            const parts = [...document.querySelectorAll(".scans, .pictures, .numbers")]
                .map((each) => each.getBoundingClientRect());
            const right = Math.max(...parts.map((each) => each.right));
            return (right - Math.min(...parts.map((each) => each.left))) / box.width; }"""
    )
    assert used >= 0.9
    panel = visit.page.locator(".screen").first.bounding_box()
    assert panel["width"] >= 250
