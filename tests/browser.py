"""A real browser that looks at the page: what a person does with it, in one call each."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

SETTLED = "n => !document.body.classList.contains('working') && document.querySelectorAll('#list li').length === n"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium that is installed on this machine, or skip with the reason."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium, or another of " + ", ".join(BROWSERS))
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the dev extra installs")
    # A browser's sandbox cannot be set up by root, as containers often are.
    sandbox = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=sandbox)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One visit to the page, with nothing left of earlier ones.

    Attributes:
        page: Playwright's page.
        address: Where the service is.
        requests: The address of every request the page made.
        faults: Every error that the page's own code raised.
    """

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _listeners: dict[str, Callable[[Any], object]] = field(default_factory=dict)

    def open(self) -> Visit:
        """Load the page and wait until it can be used."""
        self.listen()
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]")
        return self

    def listen(self) -> None:
        """Collect requests and faults from now on."""
        self._listeners = {
            "request": lambda request: self.requests.append(request.url),
            "pageerror": lambda error: self.faults.append(str(error)),
            "dialog": lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        }
        for event, listener in self._listeners.items():
            self.page.on(event, listener)

    def close(self) -> None:
        """Leave the page as a new profile would have it; another visit may use it."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        self._listeners = {}
        self.page.unroute_all(behavior="ignoreErrors")
        if self.page.url.startswith("http"):
            self.page.evaluate("localStorage.clear()")
        self.page.goto("about:blank")

    def choose(self, *paths: Path, rows: int | None = None) -> None:
        """Choose files as with the button, and wait for their answers."""
        self.page.set_input_files("#files", [str(path) for path in paths])
        self.settle(len(paths) if rows is None else rows)

    def drop(self, *paths: Path) -> None:
        """Drop files or folders from the desktop on the page."""
        browser = self.page.context.new_cdp_session(self.page)
        box = self.page.locator("#drop").bounding_box()
        dropped = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            place = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20, "data": dropped}
            browser.send("Input.dispatchDragEvent", place)

    def paste(self, path: Path, kind: str = "image/png") -> None:
        """Paste a picture."""
        self.page.evaluate(
            """([name, kind, encoded]) => {
                const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
                const carried = new DataTransfer();
                carried.items.add(new File([bytes], name, { type: kind }));
                const how = { clipboardData: carried, bubbles: true, cancelable: true };
                document.dispatchEvent(new ClipboardEvent("paste", how));
            }""",
            [path.name, kind, base64.b64encode(path.read_bytes()).decode()],
        )

    def settle(self, rows: int) -> None:
        """Wait until the list has so many rows, and none of them waits any more."""
        self.page.wait_for_function(SETTLED, arg=rows)

    def select(self, row: int) -> None:
        """Choose a row of the list, counted from 1."""
        self.page.click(f"#list li:nth-child({row}) button")

    def words(self, selector: str) -> str:
        """The words of an element, on one line, with plain spaces."""
        return " ".join(str(self.page.inner_text(selector)).split())

    def rows(self) -> list[str]:
        """The name and state of each row of the list."""
        code = "rows => rows.map(row => ['.list-name', '.list-state'].map(part => row.querySelector(part).innerText))"
        parts = self.page.eval_on_selector_all("#list li", code)
        return [" ".join(f"{name} {state}".split()) for name, state in parts]

    def shown(self, selector: str) -> bool:
        """Whether an element can be seen."""
        return bool(self.page.is_visible(selector))

    def pixels(self, canvas: str) -> list[int]:
        """Red, green, blue and opacity of each pixel of a canvas, row by row."""
        code = """id => { const canvas = document.getElementById(id);
            return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]; }"""
        return list(self.page.evaluate(code, canvas))

    def slide(self, slider: str, value: float) -> None:
        """Move a slider, as dragging it would."""
        code = "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', { bubbles: true })); }"
        self.page.eval_on_selector(slider, code, value)

    def hold(self, pattern: str) -> list[Route]:
        """Keep requests from arriving; gives the list they are collected in, for letting them go later."""
        held: list[Route] = []

        def keep(route: Route) -> None:
            held.append(route)

        self.page.route(pattern, keep)
        return held

    def change_predictions(self, **values: object) -> None:
        """Let the service judge scans, and change what its predictions say before the page reads them."""
        # In the page, as Chromium does not hand uploaded files to those who stand between page and service.
        self.page.evaluate(
            """values => {
                const real = window.realFetch ??= window.fetch;
                window.fetch = async (address, options) => {
                    const answer = await real(address, options);
                    if (!String(address).startsWith("explain") || !answer.ok) return answer;
                    const said = await answer.json();
                    return new Response(JSON.stringify({ ...said, prediction: { ...said.prediction, ...values } }));
                };
            }""",
            values,
        )

    def change_answers(self, pattern: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Let the service answer, and change what it says on the way to the page."""

        def pass_on(route: Route) -> None:
            answer = route.fetch()
            said = answer.json()
            change(said)
            route.fulfill(response=answer, json=said)

        self.page.route(pattern, pass_on)


def draw_head(path: Path, rim: int) -> Path:
    """Draw a head whose skull is so many pixels thick; the stand-in calls a thin skull a tumour."""
    picture = Image.new("L", (200, 240), 0)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((20, 20, 180, 220), fill=60)
    pen.ellipse((20, 20, 180, 220), outline=250, width=rim)
    picture.save(path)
    return path


def draw_tumour(path: Path) -> Path:
    """Draw a picture that the stand-in calls a tumour."""
    return draw_head(path, 3)


def draw_healthy(path: Path) -> Path:
    """Draw a picture that the stand-in calls healthy."""
    return draw_head(path, 40)
