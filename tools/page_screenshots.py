"""Take pictures of the page in each language, appearance and width, for people to look at.

    brainslice serve &
    python tools/page_screenshots.py http://127.0.0.1:8000/ pictures scan.png head.nii.gz

Needs the dev extra and a Chromium.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

THEMES = ("light", "dark")
LANGUAGES = ("en", "es")
WIDTHS = (1920, 1440, 390)
SETTLED = (
    "count => !document.body.classList.contains('working') && document.querySelectorAll('#list li').length === count"
)

SHOWN = """() => !document.querySelector(".evidence").checkVisibility()
    || (document.getElementById("pictures").ariaBusy !== "true" && document.getElementById("seen").width > 1)"""


def main(address: str, folder: Path, scans: list[Path]) -> None:
    """Show the empty page and each scan's result, and keep a picture of each."""
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for theme, language, width in itertools.product(THEMES, LANGUAGES, WIDTHS):
            name = f"{theme}-{language}-{width}"
            options = {
                "color_scheme": theme,
                "locale": language,
                "viewport": {"width": width, "height": 900},
                "reduced_motion": "reduce",
            }
            take_all(browser, options, address, scans, folder / name)
        browser.close()


def take_all(browser: Browser, options: dict[str, object], address: str, scans: list[Path], stem: Path) -> None:
    """Take the pictures of one visit; their names begin with ``stem``."""
    page = browser.new_context(**options).new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    page.screenshot(path=f"{stem}-empty.png", full_page=True)
    if scans:
        page.set_input_files("#files", [str(scan) for scan in scans])
        page.wait_for_function(SETTLED, arg=len(scans), timeout=300_000)
    for place, scan in enumerate(scans, 1):
        page.locator(f"#list li:nth-child({place}) button").click()
        page.wait_for_function(SHOWN)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=f"{stem}-{place}-{scan.name.split('.')[0]}.png", full_page=True)
    page.context.close()


if __name__ == "__main__":
    _, at, target, *shown = sys.argv
    main(at, Path(target), [Path(one) for one in shown])
