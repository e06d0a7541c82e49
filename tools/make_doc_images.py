"""Draw the pictures of the documents from a drawn head and the model that ships: an overlay and the page.

Usage: python tools/make_doc_images.py [FOLDER]

FOLDER is docs/images by default. Needs the extras serve and dev, and a Chromium. No picture shows a patient.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import brainslice
from brainslice.phantom import draw_phantom

PORT = "8765"


def main(folder: Path) -> None:
    """Write ``overlay.webp`` and ``page.webp``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as working:
        scan = Path(working, "drawn_head.png")
        Image.fromarray(draw_phantom("meningioma", patient=4, slice_number=0, seed=11).pixels).save(scan)
        prediction = brainslice.Predictor.open().predict(scan)
        seen, overlay = Image.fromarray(prediction.network_input), prediction.overlay("meningioma")
        pair = Image.new("RGB", (2 * seen.width, seen.height))
        pair.paste(seen, (0, 0))
        pair.paste(overlay, (seen.width, 0))
        pair.save(folder / "overlay.webp", quality=85, method=6)
        take_page(scan, folder / "page.webp")


def take_page(scan: Path, target: Path) -> None:
    """Run the service, give the page ``scan``, and keep what it shows."""
    command = [sys.executable, "-m", "brainslice.cli.main", "serve", "--port", PORT, "--project-root", str(scan.parent)]
    service = subprocess.Popen(command)  # noqa: S603 - our own command
    try:
        wait_for(f"http://127.0.0.1:{PORT}/readyz")
        with sync_playwright() as driver:
            program = shutil.which("chromium") or shutil.which("google-chrome")
            browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1100, "height": 820}, reduced_motion="reduce", locale="en")
            page.set_default_timeout(300_000)
            page.goto(f"http://127.0.0.1:{PORT}/")
            page.wait_for_selector("html[data-ready]")
            page.set_input_files("#files", [str(scan)])
            page.wait_for_function("() => document.querySelectorAll('#list li').length === 1")
            page.wait_for_function("() => document.getElementById('pictures').ariaBusy !== 'true'")
            page.wait_for_function("() => !document.body.classList.contains('working')")
            page.wait_for_timeout(2000)
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=target.with_suffix(".png"))
            browser.close()
        Image.open(target.with_suffix(".png")).save(target, quality=80, method=6)
        target.with_suffix(".png").unlink()
    finally:
        service.terminate()
        service.wait()


def wait_for(address: str, seconds: float = 120) -> None:
    """Ask until the service answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - this machine
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        else:
            return


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else Path(__file__).resolve().parents[1] / "docs" / "images")
