from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import brainslice
from brainslice.errors import UsageError
from brainslice.report.html.artefacts import read_run
from brainslice.report.html.page import LANGUAGES, Formats, flatten, render_page, write_page
from browser import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 4 * 2**20
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)")


class Reader(HTMLParser):
    """Sections, addresses and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.pictures_without_text = 0
        self.cells: dict[str, list[str]] = {}
        self._tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._tags.append(tag)
        if tag == "section":
            self.sections.append(str(found["id"]))
        self.addresses += [str(found[name]) for name in ("src", "href", "srcset", "data", "action") if found.get(name)]
        self.pictures_without_text += tag == "img" and not found.get("alt")
        self.pictures_without_text += tag == "svg" and found.get("role") == "img" and not found.get("aria-label")

    def handle_endtag(self, tag: str) -> None:
        while self._tags and self._tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        where = {"td", "li"} & set(self._tags)
        if where and self.sections and not {"svg", "figure"} & set(self._tags):
            self.cells.setdefault(self.sections[-1], []).append(data)


def words(language: str) -> dict[str, Any]:
    path = resources.files("brainslice.report.html") / "templates" / f"words_{language}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def numbers(tree: object) -> Iterator[float]:
    if isinstance(tree, dict):
        for each in tree.values():
            yield from numbers(each)
    elif isinstance(tree, list | tuple):
        for each in tree:
            yield from numbers(each)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield tree


@pytest.fixture(scope="session")
def page(complete: Path) -> str:
    return render_page(read_run(complete))


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    found = Reader(page)
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in found.addresses)
    text = re.sub(r"base64,[\w+/=]+", "", page)
    assert not re.search(r"https?:|//\w|@import|url\(|<script|<link", text)
    assert found.pictures_without_text == 0
    assert len(page) < LARGEST


def test_every_number_of_a_table_is_one_of_the_results(page: str, complete: Path) -> None:
    files = [json.loads(path.read_text(encoding="utf-8")) for path in complete.rglob("*.json")]
    values = set(numbers(files))
    known = {f"{value:.3f}" for value in values} | {f"{value:g}" for value in values} | {"0.001"}
    cells = [texts for part, texts in Reader(page).cells.items() if part not in {"claim", "tripod", "mistakes"}]
    found = {number for texts in cells for text in texts for number in NUMBER.findall(text)}
    assert len(found) > 40
    assert not found - known


def test_both_languages_have_the_same_sections_and_words(complete: Path, page: str) -> None:
    spanish = render_page(read_run(complete), "es")
    assert Reader(spanish).sections == Reader(page).sections == list(words("en")["sections"])
    both = [words(language) for language in LANGUAGES]
    for name in both[0]:
        if name != "terms" and isinstance(both[0][name], dict):
            assert both[0][name].keys() == both[1][name].keys(), name
    assert both[0]["terms"].keys() <= both[1]["terms"].keys()
    assert 'lang="es"' in spanish
    assert "0,625 ± 0,125" in spanish


def test_a_complete_run_lacks_stored_operating_points_only(page: str) -> None:
    assert re.findall(r'class="absent">.*?<code>(.*?)</code>', page, re.DOTALL) == [
        "brainslice threshold --target-sensitivity 0.95 --save",
    ]


def test_a_missing_artefact_is_named_with_its_command(evaluated: Path) -> None:
    page = render_page(read_run(evaluated))
    assert Reader(page).sections == list(words("en")["sections"])
    for command in ("crossval", "validate --data FOLDER", "train", "evaluate --protocol official"):
        assert f"<code>brainslice {command}</code>" in page


def test_a_cross_validation_alone_makes_a_page(complete: Path, tmp_path: Path) -> None:
    shutil.copytree(complete / "crossval", tmp_path / "crossval")
    page = render_page(read_run(tmp_path))
    assert "0.625 ± 0.125" in page
    assert page.count("<code>brainslice evaluate</code>") > 5


def test_warnings_stand_above_the_results(page: str) -> None:
    assert page.index(words("en")["warnings"]["phantom"]) < page.index('<section id="verdict"')


def test_the_page_is_written_where_the_results_are(evaluated: Path, complete: Path, tmp_path: Path) -> None:
    assert (evaluated / "report.html").is_file()
    assert write_page(complete, "es").name == "report.es.html"
    assert brainslice.write_report(complete, output=tmp_path / "one.html") == tmp_path / "one.html"
    with pytest.raises(UsageError, match="language"):
        write_page(complete, "xx")


def test_numbers_are_written_as_each_language_does() -> None:
    english, spanish = (Formats(words(language)) for language in LANGUAGES)
    score = {"value": 0.5, "interval": {"low": 0.25, "high": 0.75}}
    assert (english.score(score), spanish.score(score)) == ("0.500 [0.250, 0.750]", "0,500 [0,250; 0,750]")
    assert english.score({"value": None, "interval": None}) == english.number(None) == english.p_value(None) == "–"
    assert english.interval(None) == "[no interval]"
    assert (english.percent(0.95), spanish.percent(0.125)) == ("95\u202f%", "12,5\u202f%")
    assert english.p_value(1e-9) == "< 0.001"
    assert english.term("no_name") == "no name"
    assert flatten({"a": {"b": True}, "c": None}) == [("a.b", "true"), ("c", "null")]


def test_the_page_opens_in_a_browser_light_and_dark_and_prints(complete: Path, tmp_path: Path) -> None:
    path = write_page(complete, output=tmp_path / "report.html")
    requests: list[str] = []
    with chromium() as browser:
        grounds = []
        for scheme in ("light", "dark"):
            tab = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            tab.on("request", lambda request: requests.append(request.url))
            tab.goto(path.as_uri())
            grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
            assert tab.locator("img").first.evaluate("picture => picture.naturalWidth") == 576
        assert grounds[0] != grounds[1]
        assert tab.pdf(format="A4").startswith(b"%PDF")
    assert {url for url in requests if not url.startswith("data:")} == {path.as_uri()}
