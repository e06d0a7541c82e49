from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice import Predictor
from brainslice.inference.prediction import format_percent
from browser import Visit

RESEARCH = "Research use only. Not a medical device"


def save(visit: Visit, kind: str) -> tuple[str, bytes]:
    with visit.page.expect_download() as saved:
        visit.page.click(f"#export-{kind}")
    return saved.value.suggested_filename, saved.value.path().read_bytes()


def test_json_is_what_the_service_answered_with_model_and_purpose(
    visit: Visit, tumour: Path, served_bundle: Path
) -> None:
    predictor = Predictor.open(served_bundle)
    visit.choose(tumour)
    name, data = save(visit, "json")
    told = json.loads(data)
    assert name == "brainslice-1-tumour.json"
    assert told["research_use_only"].startswith(RESEARCH)
    assert told["model"]["digest"] == predictor.bundle.info.digest
    answer = predictor.predict(tumour).to_json()
    assert told["result"]["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)
    assert set(told["result"]) == set(answer)


def test_the_picture_shows_both_panels_and_leaves_out_the_files_name(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    name, data = save(visit, "png")
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert name == "brainslice-1-tumour.png"
    assert picture.shape[1] == 2 * 512 + 3 * 24
    assert picture[24:536, 24:536].any()
    assert picture[24:536, 560:1072].any()


def test_the_words_under_the_picture_hold_purpose_and_digest(visit: Visit, tumour: Path, served_bundle: Path) -> None:
    visit.choose(tumour)
    drawn = " ".join(line for line, *_ in lines_drawn(visit))
    assert RESEARCH in drawn
    assert Predictor.open(served_bundle).bundle.info.digest in drawn
    assert "They are not the outline" in drawn
    assert tumour.name not in drawn


def lines_drawn(visit: Visit) -> list[tuple[str, float, bool, float, float]]:
    """Save a picture: the lines written on it, how wide each is, whether it was squeezed, its foot, and the height."""
    visit.page.evaluate(
        """() => {
            window.drawn = [];
            const real = CanvasRenderingContext2D.prototype.fillText;
            CanvasRenderingContext2D.prototype.fillText = function (text, x, y, most) {
                const width = this.measureText(text).width;
                window.drawn.push([text, x + width, most !== undefined, y, this.canvas.height]);
                return real.call(this, text, x, y);
            };
        }"""
    )
    save(visit, "png")
    return [tuple(line) for line in visit.page.evaluate("window.drawn")]


def test_long_words_under_the_picture_are_wrapped_and_not_squeezed(visit: Visit, tumour: Path) -> None:
    reasons = [
        {"code": "undecided", "message": "open"},
        {"code": "brand_new", "message": f"some {'very ' * 60}long words"},
    ]
    visit.change_predictions(verdict="refer", reasons=[*reasons, {"code": "other", "message": "x" * 300}])
    visit.choose(tumour)
    lines = lines_drawn(visit)
    assert len(lines) > 10
    assert max(right for _, right, *_ in lines) <= 2 * 512 + 3 * 24 - 24
    assert not any(squeezed for _, _, squeezed, *_ in lines)
    assert all(foot < height for *_, foot, height in lines)
    words = " ".join(line for line, *_ in lines)
    assert f"some {'very ' * 60}long words" in words
    assert words.replace(" ", "").count("x" * 300) == 1


def test_the_page_is_self_contained_and_opens_without_the_service(
    visit: Visit, visiting: Callable[..., Visit], tumour: Path, served_bundle: Path, tmp_path: Path
) -> None:
    answer = Predictor.open(served_bundle).predict(tumour)
    visit.choose(tumour)
    name, data = save(visit, "html")
    saved = tmp_path / name
    saved.write_bytes(data)
    text = data.decode("utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "<script" not in text
    assert tumour.name not in text
    other = visiting(fresh=True)
    other.listen()
    other.page.goto(saved.as_uri())
    words = other.words("body")
    assert words.startswith(RESEARCH)
    assert answer.bundle in words
    assert f"any tumour {format_percent(answer.tumour_probability)}" in words
    assert not [address for address in other.requests if not address.startswith(("file:", "data:"))]
    assert other.page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)") == [200, 64]


def test_the_pictures_in_it_are_those_on_the_page(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.slide("#opacity", 0)
    text = save(visit, "html")[1].decode("utf-8")
    encoded = re.findall(r'src="data:image/png;base64,([^"]+)"', text)[1]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))
    assert picture.ravel().tolist() == visit.pixels("seen")


def test_a_result_is_saved_in_the_language_of_the_page(visit: Visit, tumour: Path) -> None:
    visit.page.select_option("#language", "es")
    visit.choose(tumour)
    text = save(visit, "html")[1].decode("utf-8")
    assert 'lang="es"' in text
    assert "Solo para investigación." in text
    assert "No son el contorno de un tumor." in text


def test_what_may_be_no_brain_is_saved_without_a_class(visit: Visit, tumour: Path) -> None:
    reasons = [{"code": "out_of_distribution", "message": "unlike"}]
    visit.change_predictions(verdict="refer", reasons=reasons)
    visit.choose(tumour)
    name, data = save(visit, "html")
    text = data.decode("utf-8")
    assert name == "brainslice-1-refer.html"
    assert "This may not be a brain MRI slice" in text
    assert not re.search("glioma|meningioma", text)


def test_the_research_line_is_printed(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.emulate_media(media="print")
    assert visit.shown("#research")
    assert visit.shown("#verdict")
    assert not visit.shown("#drop")
    assert visit.page.pdf()[:5] == b"%PDF-"
