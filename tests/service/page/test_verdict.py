from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from brainslice import Predictor
from brainslice.decision.verdict import Reason
from brainslice.inference.prediction import format_percent
from browser import Visit

GATE = (Reason.FLAT, Reason.NO_BACKGROUND, Reason.NO_HEAD, Reason.OUT_OF_DISTRIBUTION)


def refer(visit: Visit, *reasons: Reason) -> None:
    listed = [{"code": reason.value, "message": reason.message} for reason in reasons]
    visit.change_predictions(verdict="refer", reasons=listed)


def test_the_verdict_and_every_bar_are_those_of_the_predictor(visit: Visit, tumour: Path, served_bundle: Path) -> None:
    answer = Predictor.open(served_bundle).predict(tumour)
    visit.choose(tumour)
    said = visit.words("#verdict")
    assert said.startswith(f"Tumour The probability of a tumour is {format_percent(answer.tumour_probability)}")
    shown = [" ".join(words.split()) for words in visit.page.locator("#bars .figure").all_inner_texts()]
    assert shown == [format_percent(each) for each in (*answer.probabilities.values(), answer.tumour_probability)]


def test_a_bar_is_as_long_as_its_probability(visiting: Callable[..., Visit], tumour: Path, served_bundle: Path) -> None:
    answer = Predictor.open(served_bundle).predict(tumour)
    visit = visiting(reduced_motion="reduce").open()
    visit.choose(tumour)
    code = "bars => bars.map(bar => bar.firstChild.getBoundingClientRect().width / bar.getBoundingClientRect().width)"
    lengths = visit.page.eval_on_selector_all("#bars .track", code)
    assert lengths == pytest.approx([*answer.probabilities.values(), answer.tumour_probability], abs=0.01)


def test_probabilities_are_written_as_python_writes_them_and_never_as_100(visit: Visit) -> None:
    shares = [0.0, 0.004, 0.005, 0.015, 0.025, 0.125, 0.375, 0.5, 0.745, 0.985, 0.994, 0.995, 0.9999, 1.0]
    code = "async shares => { const { percent } = await import('/words.js'); return shares.map(percent); }"
    written = visit.page.evaluate(code, shares)
    assert [each.replace("\u00a0", " ") for each in written] == [format_percent(share) for share in shares]


def test_no_probability_is_shown_as_100_or_0(visit: Visit, tumour: Path) -> None:
    shares = {"glioma": 0.99999, "meningioma": 0.00001, "no_tumor": 0.0, "pituitary": 0.0}
    visit.change_predictions(probabilities=shares, tumour_probability=1.0)
    visit.choose(tumour)
    assert visit.words("#bars").split(" ")[1:3] == [">", "99"]
    shown = visit.words("#result").replace(visit.words("#threshold-part"), "").replace(visit.words(".scale"), "")
    assert "100 %" not in shown


def test_the_prediction_set_is_said_with_its_coverage(visit: Visit, tumour: Path) -> None:
    visit.change_predictions(prediction_set=["glioma", "meningioma"], coverage=0.9)
    visit.choose(tumour)
    assert visit.words("#set").startswith("At 90 % coverage, still possible: glioma or meningioma.")
    assert visit.page.locator("#bars .possible dt").all_inner_texts() == ["glioma", "meningioma"]


def test_an_empty_set_and_a_model_without_sets_are_told_apart(visit: Visit, tumour: Path) -> None:
    visit.change_predictions(prediction_set=[], coverage=0.9)
    visit.choose(tumour)
    assert "no class remains possible" in visit.words("#set")
    visit.change_predictions(prediction_set=[], coverage=None)
    visit.choose(tumour, rows=2)
    visit.select(2)
    assert visit.words("#set") == "This model makes no prediction sets."


def test_a_referral_says_why_and_keeps_the_probabilities(visit: Visit, tumour: Path) -> None:
    refer(visit, Reason.UNDECIDED, Reason.NEAR_THRESHOLD)
    visit.choose(tumour)
    assert visit.words("#verdict .verdict-word") == "Refer to a person"
    assert visit.page.locator("#verdict li").all_inner_texts() == [
        "The prediction set contains both tumour and no tumour.",
        "The probability of a tumour lies in the grey zone around the threshold.",
    ]
    assert visit.shown("#bars")


@pytest.mark.parametrize("reason", GATE)
def test_no_class_is_shown_for_what_may_be_no_brain(visit: Visit, tumour: Path, reason: Reason) -> None:
    refer(visit, reason)
    visit.choose(tumour)
    assert "This may not be a brain MRI slice" in visit.words("#warnings")
    for hidden in ("#bars", "#map", "#threshold"):
        assert not visit.shown(hidden)
    shown = visit.words("#result").casefold()
    assert not [name for name in ("glioma", "meningioma", "pituitary") if name in shown]


def test_the_page_knows_every_reason_of_the_gate_and_no_other(visit: Visit) -> None:
    outside = visit.page.evaluate("async () => [...(await import('/verdict.js')).OUTSIDE]")
    assert sorted(outside) == sorted(reason.value for reason in GATE)


def test_the_warning_stands_above_the_verdict_and_is_read_aloud(visit: Visit, tumour: Path) -> None:
    refer(visit, Reason.OUT_OF_DISTRIBUTION)
    visit.choose(tumour)
    warning, verdict = (visit.page.locator(f"#{name}").bounding_box() for name in ("warnings", "verdict"))
    assert warning["y"] + warning["height"] <= verdict["y"]
    assert visit.page.get_attribute("#announcements", "aria-live") == "polite"
    said = visit.words("#announcements")
    assert "first.png: Refer to a person." in said
    assert "This may not be a brain MRI slice" in said


def test_warnings_of_the_model_stand_above_every_answer(visit: Visit, tumour: Path) -> None:
    visit.change_predictions(warnings=["leaky", "phantom", "made up"])
    visit.choose(tumour)
    warnings = visit.words("#warnings")
    assert "Leaky: scans of the same patients" in warnings
    assert "Phantom: this model was trained on drawn heads" in warnings
    assert "Warning: made up." in warnings


def test_a_reason_that_the_page_does_not_know_is_said_in_the_words_of_the_service(visit: Visit, tumour: Path) -> None:
    listed = [{"code": "brand_new", "message": "something new speaks against it"}]
    visit.change_predictions(verdict="refer", reasons=listed)
    visit.choose(tumour)
    assert "something new speaks against it" in visit.words("#verdict")


def test_choosing_another_row_shows_its_answer(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour, healthy)
    assert visit.words("#verdict .verdict-word") == "Tumour"
    visit.select(2)
    assert visit.words("#verdict .verdict-word") == "No tumour"
    assert visit.words("#result-title") == "second.png"


def test_the_model_is_named_with_its_digest(visit: Visit, served_bundle: Path) -> None:
    info = Predictor.open(served_bundle).bundle.info
    assert info.digest[:12] in visit.words("#model")
    visit.page.click("#card summary")
    facts = visit.words("#facts")
    assert info.digest in facts
    assert "1,200 scans of 230 groups" in facts


def score(value: float, n: int, groups: int, interval: dict[str, float] | None) -> dict[str, object]:
    return {"value": value, "interval": interval, "n": n, "groups": groups}


def test_the_results_of_source_controlled_tests_stand_first(visiting: Callable[..., Visit], address: str) -> None:
    visit = visiting()
    model = visit.page.request.get(f"{address}model").json()
    twins = {"lesion_twin_scores_higher": score(0.877, 130, 15, {"low": 0.734, "high": 0.948})}
    within = {"auc": score(0.9, 9, 5, None), "auc_within_patients": score(0.823, 2200, 5, None)}
    tests = [{"name": "mirror twins", "scores": twins}, {"name": "<b>slices", "scores": within}]
    model["test"] = {"source_controlled": tests, "scores": {"accuracy": score(0.879, 1425, 131, None)}}
    visit.page.route("**/model", lambda route: route.fulfill(json=model))
    visit.open()
    visit.page.click("#card summary")
    first = (
        "higher in 88 % [73 %, 95 %] of 130 pairs from 15 patients; <b>slices: AUC within patients 0.82, 2,200 slices"
    )
    assert first in visit.words("#facts div:first-child")
    assert "88 %, 1,425 scans of 131 groups" in visit.words("#facts")


def test_a_model_without_source_controlled_tests_is_said_to_lack_them(visit: Visit) -> None:
    visit.page.click("#card summary")
    assert "not done with this model" in visit.words("#facts div:first-child")
