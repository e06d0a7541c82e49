from __future__ import annotations

from pathlib import Path

from brainslice.report.html.artefacts import read_run
from brainslice.report.html.checklists import answers, collect_values

ITEMS = [
    {"item": "1", "topic": {"en": "model", "es": "modelo"}, "answer": "model"},
    {"item": "2", "topic": {"en": "funding", "es": "financiación"}, "answer": None},
    {"item": "3", "topic": {"en": "sites", "es": "centros"}, "answer": "sites"},
]
TEXTS = {"model": "Backbone {backbone}.", "sites": "Sites: {external}."}


def test_an_item_is_answered_from_facts_or_named_a_gap() -> None:
    found = answers(ITEMS, "es", TEXTS, {"backbone": "b0"}, "missing")
    assert [(each.topic, each.text, each.gap) for each in found] == [
        ("modelo", "Backbone b0.", False),
        ("financiación", "missing", True),
        ("centros", "missing", True),
    ]


def test_facts_are_those_of_the_files(complete: Path, evaluated: Path) -> None:
    values = collect_values(read_run(complete), lambda score: str(score["value"]))
    report = read_run(complete).report
    assert report is not None
    assert values["external"] == "clinic, clinic"
    assert values["changes"] == "drawn"
    assert values["n"] == report["evaluation"]["n"]
    assert values["scans"] == report["cohort"]["n"]
    assert values["accuracy"] == str(report["evaluation"]["scores"]["accuracy"]["value"])
    assert "external" not in collect_values(read_run(evaluated), lambda _: "")
