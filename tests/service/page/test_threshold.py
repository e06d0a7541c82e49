from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser import Visit
from served import THRESHOLD, curve

POINTS = curve()["points"]


def expected(rate: dict[str, float]) -> str:
    value, low, high = (f"{round(100 * rate[name])} %" for name in ("value", "low", "high"))
    return f"{value} 95 % interval: {low} to {high}"


def with_level(name: str, point: dict[str, Any]) -> dict[str, Any]:
    """A point as a bundle names it: each of its rates tells the level of its interval."""
    rates = {kind: point[kind] | {"level": 0.95} for kind in ("sensitivity", "specificity")}
    return {"name": name, **point, **rates}


def without_curve(said: dict[str, Any]) -> None:
    said["operating_curve"] = None


@pytest.mark.parametrize("place", [0, 7, 24])
def test_the_slider_shows_what_the_service_says_was_measured_there(visit: Visit, tumour: Path, place: int) -> None:
    visit.choose(tumour)
    visit.slide("#threshold", place)
    point = POINTS[place]
    assert visit.words("#threshold-value") == f"Threshold {point['threshold']:.2f}"
    assert visit.words("#rates [data-rate=sensitivity]") == f"Sensitivity {expected(point['sensitivity'])}"
    assert visit.words("#rates [data-rate=specificity]") == f"Specificity {expected(point['specificity'])}"


def test_it_says_on_how_many_scans_that_was_measured(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    assert "on 400 scans: validation." in visit.words("#threshold-words")


def test_the_slider_starts_at_the_last_measured_point_not_above_the_threshold_in_use(
    visit: Visit, tumour: Path
) -> None:
    visit.choose(tumour)
    last = max(place for place, point in enumerate(POINTS) if point["threshold"] <= THRESHOLD)
    assert visit.page.input_value("#threshold") == str(last)


def test_moving_it_changes_no_verdict_and_says_on_which_side_the_result_lies(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    before = visit.words("#verdict")
    visit.slide("#threshold", 0)
    assert "lies at or above this threshold" in visit.words("#threshold-meaning")
    visit.slide("#threshold", len(POINTS) - 1)
    assert "lies below this threshold" in visit.words("#threshold-meaning")
    assert visit.words("#verdict") == before


def test_a_button_goes_back_to_the_threshold_in_use(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    start = visit.page.input_value("#threshold")
    visit.slide("#threshold", 0)
    visit.page.click(f"#points button:has-text('In use: {THRESHOLD}')")
    assert visit.page.input_value("#threshold") == start


def test_it_can_be_moved_by_keyboard_and_says_aloud_what_it_shows(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.focus("#threshold")
    visit.page.keyboard.press("Home")
    visit.page.keyboard.press("ArrowRight")
    said = visit.page.get_attribute("#threshold", "aria-valuetext").replace("\u00a0", " ")
    sensitivity = expected(POINTS[1]["sensitivity"]).replace(" 95 % interval", ", 95 % interval")
    assert said.startswith(f"Threshold {POINTS[1]['threshold']:.2f}; Sensitivity {sensitivity}; Specificity ")


def test_named_operating_points_are_used_where_there_is_no_curve(visiting: Callable[..., Visit], tumour: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        without_curve(said)
        said["operating_points"] = [with_level("sensitivity-0.95", POINTS[5]), with_level("youden", POINTS[12])]

    visit = visiting()
    visit.change_answers("**/model", change)
    visit.open().choose(tumour)
    visit.page.click("#points button:has-text('sensitivity-0.95')")
    assert visit.words("#threshold-value") == f"Threshold {POINTS[5]['threshold']:.2f}"
    assert visit.words("#rates [data-rate=specificity]") == f"Specificity {expected(POINTS[5]['specificity'])}"


def test_an_operating_point_is_named_by_what_it_was_chosen_for(visiting: Callable[..., Visit], tumour: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        aim = {"criterion": "target sensitivity", "value": 0.95, "guarantee": {"confidence": 0.9}}
        said["operating_points"] = [
            {"name": "sensitivity-0.95-guaranteed", **POINTS[5], **aim},
            {"name": "youden", **POINTS[12], "criterion": "youden", "value": None, "guarantee": None},
        ]

    visit = visiting()
    visit.change_answers("**/model", change)
    visit.open().choose(tumour)
    names = [" ".join(name.split()) for name in visit.page.locator("#points button").all_inner_texts()]
    assert names == [f"In use: {THRESHOLD}", "Sensitivity of at least 95 %, with 90 % confidence", "Youden's index"]


def test_the_level_of_an_interval_is_the_one_it_was_measured_at(visiting: Callable[..., Visit], tumour: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        said["operating_curve"]["level"] = 0.8
        said["operating_curve"]["points"][3]["sensitivity"]["level"] = 0.9

    visit = visiting()
    visit.change_answers("**/model", change)
    visit.open().choose(tumour)
    visit.slide("#threshold", 3)
    assert "90 % interval: " in visit.words("#rates [data-rate=sensitivity]")
    assert "80 % interval: " in visit.words("#rates [data-rate=specificity]")


def test_a_model_without_measured_thresholds_says_so(visiting: Callable[..., Visit], tumour: Path) -> None:
    visit = visiting()
    visit.change_answers("**/model", without_curve)
    visit.open().choose(tumour)
    assert visit.words("#threshold-words") == "This model has no measured thresholds."
    assert not visit.shown("#threshold")
