"""A service with a stand-in model, a browser, and a fresh visit for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser import Visit, chromium, draw_healthy, draw_tumour
from served import serving, write_stand_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LIMIT = 60_000
"""Milliseconds that anything on the page may take under test."""


@pytest.fixture(scope="session")
def served_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that calls bright pictures healthy."""
    return write_stand_in(tmp_path_factory.mktemp("served")).folder


@pytest.fixture(scope="session")
def address(served_bundle: Path) -> Iterator[str]:
    """Where a real service listens."""
    pytest.importorskip("fastapi", reason="needs the serve extra")
    with serving(served_bundle) as found:
        yield found


# One module long: while Playwright runs, this process has an event loop, which other tests may want for themselves.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def idle_pages() -> Iterator[dict[str, list[Page]]]:
    """Pages that no test uses at the moment, by the options of their profile; loading one anew takes half a second."""
    pages: dict[str, list[Page]] = {}
    yield pages
    for page in (page for several in pages.values() for page in several):
        page.context.close()


@pytest.fixture
def visiting(browser: Browser, address: str, idle_pages: dict[str, list[Page]]) -> Iterator[Callable[..., Visit]]:
    """Make visits; options are those of a browser's profile. At the end none of them may have had a fault.

    A page is used again by later tests of the module, its storage emptied; with ``fresh`` it is closed.
    """
    visits: list[tuple[Visit, str | None]] = []

    def visit(at: str = address, *, fresh: bool = False, **options: object) -> Visit:
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options
        key = None if fresh else repr(sorted(options.items()))
        if key is not None and idle_pages.get(key):
            page = idle_pages[key].pop()
        else:
            page = browser.new_context(**options).new_page()
            page.set_default_timeout(LIMIT)
        visits.append((Visit(page, at), key))
        return visits[-1][0]

    yield visit
    faults = [fault for visit, _ in visits for fault in visit.faults]
    for visit, key in visits:
        if key is None or faults:
            visit.page.context.close()
        else:
            visit.close()
            idle_pages.setdefault(key, []).append(visit.page)
    assert not faults


@pytest.fixture
def visit(visiting: Callable[..., Visit]) -> Visit:
    """A visit in English, with the page loaded."""
    return visiting().open()


@pytest.fixture(scope="session")
def tumour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that the stand-in calls a tumour."""
    return draw_tumour(tmp_path_factory.mktemp("scans") / "first.png")


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that the stand-in calls healthy."""
    return draw_healthy(tmp_path_factory.mktemp("scans") / "second.png")
