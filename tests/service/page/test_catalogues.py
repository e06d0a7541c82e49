from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from brainslice.decision.operating_point import Criterion
from brainslice.decision.verdict import Reason, Verdict
from brainslice.labels import LabelSet
from brainslice.scan import Plane
from brainslice.scan.input_problem import InputProblem
from brainslice.scan.types import RemarkCode

PAGE = Path(str(files("brainslice.service").joinpath("page")))
MAX_BYTES = 60_000
CATALOGUES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(PAGE.glob("words/*.json"))}
CODE = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))}
SAME_IN_BOTH = {"class.glioma", "class.meningioma", "card.version"}


class Document(HTMLParser):
    """Each element of the page that is said from the catalogue: its key, and its words in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self.labelled: dict[str, str | None] = {}
        self.scripts: list[dict[str, str | None]] = []
        self.styled: list[str] = []
        self._open: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if "data-label" in found:
            self.labelled[str(found["data-label"])] = found.get("aria-label")
        if tag == "script":
            self.scripts.append(found)
        if tag == "style" or "style" in found or any(name.startswith("on") for name in found):
            self.styled.append(tag)
        self._open.append((tag, found.get("data-say")))

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][1]:
            self.said[str(self._open[-1][1])] = data

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass


@pytest.fixture(scope="module")
def document() -> Document:
    parser = Document()
    parser.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    return parser


def placeholders(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


def test_there_is_a_catalogue_in_english_and_one_in_spanish() -> None:
    assert set(CATALOGUES) == {"en", "es"}


def test_both_catalogues_have_the_same_keys_in_the_same_order() -> None:
    assert list(CATALOGUES["en"]) == list(CATALOGUES["es"])


def test_each_sentence_has_the_same_placeholders_in_both() -> None:
    english, spanish = CATALOGUES["en"], CATALOGUES["es"]
    assert not [key for key in english if placeholders(english[key]) != placeholders(spanish[key])]


def test_nothing_is_left_untranslated_or_empty() -> None:
    english, spanish = CATALOGUES["en"], CATALOGUES["es"]
    same = {key for key in english if english[key] == spanish[key] and re.search("[A-Za-z]{4}", english[key])}
    assert same <= SAME_IN_BOTH | {"pictures.original", "volume.inferior", "volume.superior"}
    assert all(sentence.strip() for catalogue in CATALOGUES.values() for sentence in catalogue.values())


def test_the_document_says_what_the_english_catalogue_says(document: Document) -> None:
    english = CATALOGUES["en"]
    assert document.said == {key: english[key] for key in document.said}
    assert document.labelled == {key: english[key] for key in document.labelled}


def test_every_key_that_the_code_names_is_in_the_catalogues() -> None:
    named = {key for code in CODE.values() for key in re.findall(r'(?:say|tell|Failure)\(\s*"([a-z_.]+)"', code)}
    named |= set(re.findall(r'"((?:problem|state|status)\.\w+)"', "".join(CODE.values())))
    assert len(named) > 40
    assert not named - set(CATALOGUES["en"])


def test_every_sentence_is_used_somewhere(document: Document) -> None:
    code = "".join(CODE.values())
    built = set(re.findall(r"`(\w+)\.\$\{", code)) | {"verdict"}
    used = set(document.said) | set(document.labelled) | set(re.findall(r'"([a-z]+\.[a-z_.]+)"', code))
    assert not [key for key in CATALOGUES["en"] if key not in used and key.split(".")[0] not in built]


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_reason_verdict_and_class_has_words(language: str) -> None:
    catalogue = CATALOGUES[language]
    assert {f"reason.{reason.value}" for reason in Reason} <= set(catalogue)
    assert {f"verdict.{verdict.value}" for verdict in Verdict} <= set(catalogue)
    assert {f"class.{name}" for name in LabelSet().names} <= set(catalogue)


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_note_obstacle_and_criterion_has_words(language: str) -> None:
    catalogue = CATALOGUES[language]
    assert {f"note.{code.value}" for code in RemarkCode} <= set(catalogue)
    assert {f"input_problem.{code.value}" for code in InputProblem} <= set(catalogue)
    assert {f"point.{criterion.value}" for criterion in Criterion} <= set(catalogue)
    assert {f"plane.{plane.value}" for plane in Plane} <= set(catalogue)
    for code in RemarkCode:
        assert placeholders(catalogue[f"note.{code.value}"]) <= {"value"}


def test_every_note_that_tells_a_value_shows_it() -> None:
    told = {RemarkCode.PLANE, RemarkCode.TILT, RemarkCode.KINDS, RemarkCode.PASSED_OVER}
    shown = {code for code in RemarkCode if "{value}" in CATALOGUES["en"][f"note.{code.value}"]}
    assert shown == told


def test_english_reasons_are_those_of_the_command_line() -> None:
    for reason in Reason:
        said = CATALOGUES["en"][f"reason.{reason.value}"]
        assert said.rstrip(".").casefold() == reason.message.casefold()


def test_all_of_the_page_is_at_most_60_kb_compressed() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in PAGE.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= MAX_BYTES, sizes


def test_no_file_of_the_page_names_another_host() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in PAGE.rglob("*") if path.is_file()}
    named = {name: re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text) for name, text in texts.items()}
    assert {address for found in named.values() for address in found} <= {"http://www.w3.org"}


def test_the_document_has_no_inline_script_and_no_inline_style(document: Document) -> None:
    assert document.scripts == [{"type": "module", "src": "app.js"}]
    assert document.styled == []
