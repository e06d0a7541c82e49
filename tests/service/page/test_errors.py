from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser import Visit
from served import serving

if TYPE_CHECKING:
    from playwright.sync_api import Route

WORD = "a-word-for-tests-only"


def problem(status: int, code: str, wait: int | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/problem+json"} | ({} if wait is None else {"Retry-After": str(wait)})
    said = {"type": "about:blank", "title": "x", "status": status, "code": code, "detail": "x.png: said by the service"}
    return {"status": status, "headers": headers, "body": json.dumps(said)}


def answer_with(visit: Visit, *answers: dict[str, Any] | None, pattern: str = "**/explain*") -> None:
    """Answer one request after the other with these; with None, and afterwards, the service itself answers."""
    waiting = list(answers)

    def pass_on(route: Route) -> None:
        answer = waiting.pop(0) if waiting else None
        if answer is None:
            route.continue_()
        else:
            route.fulfill(**answer)

    visit.page.route(pattern, pass_on)


def test_a_service_that_is_gone_is_said_in_one_sentence_and_can_be_tried_again(visit: Visit, tumour: Path) -> None:
    visit.page.route("**/explain*", lambda route: route.abort("connectionrefused"))
    visit.choose(tumour)
    assert visit.rows() == ["first.png no response"]
    said = "No prediction The service cannot be reached. Check that it is running, then try again."
    assert visit.words("#verdict").startswith(said)
    assert "The service cannot be reached." in visit.words("#announcements")
    visit.page.unroute("**/explain*")
    visit.page.click("#verdict button:has-text('Try again')")
    visit.settle(1)
    assert visit.rows() == ["first.png Tumour"]


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (413, "too_large", "x.png: said by the service"),
        (422, "unreadable_scan", "x.png: said by the service"),
        (500, "broken", "The service failed (500). Try again."),
        (403, "cross_site", "The service failed (403). Try again."),
        (503, "draining", "The service is not ready. Try again in a while."),
    ],
)
def test_each_refusal_is_one_sentence_in_place(
    visit: Visit, tumour: Path, status: int, code: str, sentence: str
) -> None:
    answer_with(visit, problem(status, code))
    visit.choose(tumour)
    assert visit.words("#verdict .problem") == sentence


def test_an_answer_that_is_no_json_is_said_as_a_fault_of_the_service(visit: Visit, tumour: Path) -> None:
    answer_with(visit, {"status": 502, "body": "<html>Bad gateway</html>"})
    visit.choose(tumour)
    assert visit.words("#verdict .problem") == "The service failed (502). Try again."


@pytest.mark.parametrize(("status", "code"), [(429, "busy"), (503, "no_room")])
def test_a_busy_service_is_waited_for_as_long_as_it_says_and_then_asked_again(
    visit: Visit, tumour: Path, status: int, code: str
) -> None:
    answer_with(visit, problem(status, code, wait=2))
    start = time.monotonic()
    visit.page.set_input_files("#files", str(tumour))
    visit.page.wait_for_function("() => document.getElementById('list').innerText.includes('next try in 2 s')")
    visit.page.wait_for_function("() => document.getElementById('list').innerText.includes('next try in 1 s')")
    visit.settle(1)
    assert time.monotonic() - start >= 1.9
    assert visit.rows() == ["first.png Tumour"]


@pytest.fixture
def clocked(visiting: Callable[..., Visit]) -> Visit:
    """A visit whose timers end when the test says so."""
    visit = visiting(fresh=True)
    visit.page.clock.install()
    return visit.open()


def test_a_service_that_stays_busy_is_not_asked_for_ever(clocked: Visit, tumour: Path) -> None:
    visit, asked = clocked, []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(**problem(429, "busy", wait=1))

    visit.page.route("**/explain*", refuse)
    visit.page.set_input_files("#files", str(tumour))
    end = time.monotonic() + 60
    while "no response" not in visit.words("#list") and time.monotonic() < end:
        visit.page.clock.run_for(500)
    assert visit.words("#verdict .problem") == "The service stayed busy. Try again in a while."
    assert len(asked) == 6


def test_waiting_for_a_busy_service_can_be_cancelled(visit: Visit, tumour: Path, healthy: Path) -> None:
    answer_with(visit, problem(429, "busy", wait=60))
    visit.page.set_input_files("#files", [str(tumour), str(healthy)])
    visit.page.wait_for_function("() => document.getElementById('list').innerText.includes('next try')")
    visit.page.click("#cancel")
    visit.settle(2)
    assert visit.rows() == ["first.png cancelled", "second.png cancelled"]
    assert visit.words("#status") == "Cancelled; 0 of 2 were done."


def test_a_slow_service_is_said_to_be_slow_and_can_be_cancelled(clocked: Visit, tumour: Path, healthy: Path) -> None:
    visit = clocked
    held = visit.hold("**/explain*")
    with visit.page.expect_request("**/explain*"):
        visit.page.set_input_files("#files", [str(tumour), str(healthy)])
    visit.page.clock.run_for(3900)
    assert "the service is slow" not in visit.words("#status")
    visit.page.clock.run_for(200)
    visit.page.wait_for_function("() => document.getElementById('status').textContent.includes('the service is slow')")
    visit.page.click("#cancel")
    visit.settle(2)
    assert len(held) == 1
    assert visit.rows() == ["first.png cancelled", "second.png cancelled"]
    visit.page.unroute("**/explain*")
    visit.page.click("#verdict button:has-text('Try again')")
    visit.settle(2)
    assert visit.rows() == ["first.png Tumour", "second.png cancelled"]


def test_one_failure_does_not_stop_the_files_after_it(visit: Visit, tumour: Path, healthy: Path) -> None:
    answer_with(visit, problem(500, "broken"))
    visit.choose(tumour, healthy)
    assert visit.rows() == ["first.png no response", "second.png No tumour"]


def test_what_was_answered_stays_when_the_service_goes(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour)
    visit.page.route("**/*", lambda route: route.abort("connectionrefused"))
    visit.choose(healthy, rows=2)
    visit.page.select_option("#language", "es")
    assert visit.rows() == ["first.png Tumor", "second.png sin respuesta"]
    assert visit.words("#verdict .verdict-word") == "Tumor"


def test_a_model_that_cannot_be_learnt_is_asked_for_again(visiting: Callable[..., Visit]) -> None:
    visit = visiting()
    answer_with(visit, problem(503, "draining"), pattern="**/model")
    visit.open()
    assert "The information about the model could not be loaded" in visit.words("#model-problem")
    visit.page.click("#model-problem button")
    visit.page.wait_for_selector("#model-problem", state="hidden")
    assert "mean grey value" in visit.words("#model")


def test_the_page_asks_for_a_token_where_the_service_needs_one(
    visiting: Callable[..., Visit], served_bundle: Path, tumour: Path
) -> None:
    with serving(served_bundle, token=WORD) as guarded:
        visit = visiting(guarded, fresh=True).open()
        assert "This service requires a token." in visit.words("#token")
        visit.page.set_input_files("#files", str(tumour))
        visit.page.fill("#token-field", "not-the-right-token")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("#token-wrong:not([hidden])")
        visit.page.fill("#token-field", WORD)
        visit.page.keyboard.press("Enter")
        visit.settle(1)
        assert visit.rows() == ["first.png Tumour"]
        assert not visit.shown("#token")
        kept = visit.page.evaluate(
            "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])"
        )
        assert WORD not in kept


def test_a_token_entered_while_a_request_waits_is_used_for_that_request(
    visiting: Callable[..., Visit], served_bundle: Path, tumour: Path
) -> None:
    with serving(served_bundle, token=WORD) as guarded:
        visit = visiting(guarded, fresh=True).open()
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        visit.page.route("**/explain*", hold, times=1)
        with visit.page.expect_request("**/explain*"):
            visit.page.set_input_files("#files", str(tumour))
        visit.page.fill("#token-field", WORD)
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("#token", state="hidden")
        held[0].fulfill(**problem(401, "unauthorized"))
        visit.settle(1)
        assert visit.rows() == ["first.png Tumour"]
        assert not visit.shown("#token")
