from __future__ import annotations

import json
from typing import Any

import pytest

from brainslice.errors import DatasetError
from brainslice.metrics.evaluation import Evaluation
from brainslice.report.documents import (
    FORMAT,
    Table,
    calibration_metrics,
    classification_report,
    figure_caption,
    protocol_table,
    summary,
    warning_stamp,
)


def report(evaluation: Evaluation, openings: int = 1) -> dict[str, Any]:
    return {"format": FORMAT, "test_openings": openings, "evaluation": evaluation.to_json()}


def row(table: Table, name: str) -> tuple[str, ...]:
    return next(cells[1:] for cells in table.rows if cells[0] == name)


def test_official_and_clean_stand_in_their_own_columns(evaluation: Evaluation, marked: Evaluation) -> None:
    table = protocol_table(report(evaluation, 1), report(marked, 3))
    assert table.header == ("", "official", "clean")
    for name, title in (("accuracy", "accuracy"), ("macro_f1", "macro F1"), ("ece", "ECE")):
        assert row(table, title) == (marked.score(name).text, evaluation.score(name).text)
    assert row(table, "test scans opened") == ("3", "1")
    assert row(table, "warnings") == ("phantom, leaky", "none")
    assert row(table, "n (test scans)") == ("240", "240")
    assert any("LEAKY" in note for note in table.footnotes)


def test_the_floor_stands_beside_the_model_with_the_test_between_them(evaluation: Evaluation) -> None:
    table = protocol_table(report(evaluation), None)
    assert evaluation.baseline is not None
    assert row(table, "baseline accuracy")[1] == evaluation.baseline.scores[0].text
    assert row(table, "McNemar, model and baseline")[1] == "p < 0.001"


def test_a_protocol_that_was_not_run_says_so_in_every_row(evaluation: Evaluation) -> None:
    table = protocol_table(report(evaluation), None)
    assert {cells[1] for cells in table.rows} == {"not run"}
    assert all(cells[2] != "not run" for cells in table.rows)


def test_what_is_undefined_is_a_dash(one_class: Evaluation) -> None:
    table = protocol_table(report(one_class), None)
    for name in ("AUC of P(tumour)", "baseline accuracy", "McNemar, model and baseline", "the same by group"):
        assert row(table, name)[1] == "–"


def test_a_report_in_the_place_of_the_other_protocol_is_refused(evaluation: Evaluation, marked: Evaluation) -> None:
    with pytest.raises(DatasetError, match="clean protocol's"):
        protocol_table(report(marked), None)
    with pytest.raises(DatasetError, match="official protocol's"):
        protocol_table(None, report(evaluation))


def test_a_report_of_another_format_is_refused(evaluation: Evaluation) -> None:
    with pytest.raises(DatasetError, match="format 1, got 2"):
        protocol_table({**report(evaluation), "format": 2}, None)


def test_a_table_is_aligned_and_every_row_as_wide_as_its_header(evaluation: Evaluation, marked: Evaluation) -> None:
    table = protocol_table(report(evaluation), report(marked))
    assert {len(cells) for cells in table.rows} == {len(table.header)}
    lines = table.text.splitlines()[2 : 3 + len(table.rows)]
    assert len({len(line) for line in lines}) == 1
    assert lines[0].endswith("clean")


def test_the_classification_report_tells_every_class_with_intervals_and_counts(marked: Evaluation) -> None:
    text = classification_report(marked, 2)
    assert text.startswith("*** PHANTOM")
    assert "*** LEAKY" in text
    assert "opened 2 times" in text
    for found in marked.classes:
        assert f"{found.recall.text}  {found.f1.text}" in text
    assert text.count("no tumour") == 1
    assert text.endswith("\n")


def test_the_classification_report_says_what_is_undefined(one_class: Evaluation) -> None:
    assert "undefined" in classification_report(one_class, 1)
    assert "opened once" in classification_report(one_class, 1)


def test_calibration_metrics_have_the_promised_fields_after_and_before(evaluation: Evaluation) -> None:
    metrics = calibration_metrics(evaluation)
    assert metrics["ECE"] == evaluation.score("ece").value
    assert metrics["MCE"] == evaluation.score("mce").value
    assert metrics["BrierScore"] == evaluation.score("brier").value
    assert metrics["after"]["ECE"]["interval"] is not None
    assert metrics["before"].keys() == metrics["after"].keys() == {"ECE", "MCE", "BrierScore", "NLL", "ClasswiseECE"}
    assert (metrics["bins"], metrics["temperature"], metrics["n"], metrics["groups"]) == (15, 1.5, 240, 80)


def test_the_summary_has_classes_temperature_and_headlines(marked: Evaluation) -> None:
    told = summary(marked, 4)
    assert told["classes"] == ["glioma", "meningioma", "no_tumor", "pituitary"]
    assert told["temperature"] == 1.5
    assert told["scores"]["accuracy"] == marked.score("accuracy").to_json()
    assert (told["test_openings"], told["warnings"], told["protocol"]) == (4, ["phantom", "leaky"], "official")
    assert told["baseline"]["mcnemar"]["p_value"] < 0.001


@pytest.mark.parametrize("name", ["evaluation", "marked", "one_class"])
def test_every_document_is_plain_json(name: str, request: pytest.FixtureRequest) -> None:
    subject = request.getfixturevalue(name)
    for told in (calibration_metrics(subject), summary(subject, 1)):
        assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_caption_says_data_protocol_split_n_groups_and_interval(evaluation: Evaluation) -> None:
    caption = figure_caption(evaluation, "A line.")
    assert caption.startswith("A line. ")
    for word in ("drawn", "clean protocol", "test scans", "n = 240", "80 groups", "95%"):
        assert word in caption


def test_a_caption_says_every_mark(marked: Evaluation) -> None:
    caption = figure_caption(marked, "A line.")
    assert "LEAKY" in caption
    assert "PHANTOM" in caption


def test_a_mark_without_words_of_its_own_is_still_said() -> None:
    assert warning_stamp("unheard-of") == "UNHEARD-OF"
