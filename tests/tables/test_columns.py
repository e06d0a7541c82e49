from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.tables.columns import cells_of, columns_of, is_number, row_of


def answer_of(predictor: Predictor, tree: Path) -> Prediction:
    return predictor.predict(next(tree.rglob("scan*.png")))


def test_every_key_of_a_prediction_has_a_column(predictor: Predictor, tree: Path) -> None:
    row = row_of(tree / "scan.png", answer_of(predictor, tree), predictor)
    columns = columns_of(LabelSet())
    lost = {key for key in row if key not in columns}
    assert lost == {"probabilities", "schema"}, "probabilities have a column each"
    assert {f"probability_{name}" for name in LabelSet().names} <= set(columns)


def test_row_holds_prediction_and_path(predictor: Predictor, tree: Path) -> None:
    answer = answer_of(predictor, tree)
    row = row_of(Path("some/folder/scan.png"), answer, replace(predictor, frame=3))
    assert (row["path"], row["frame"]) == (str(Path("some/folder/scan.png")), 3)
    assert (row["bundle"], row["threshold"]) == (answer.bundle, answer.threshold)
    assert answer.to_json().items() <= row.items()
    cells = cells_of(row, answer.labels)
    assert tuple(cells) == columns_of(answer.labels)
    assert cells["class"] == answer.predicted_class
    assert cells["warnings"] == "phantom"
    assert cells["refused"] is None
    assert [cells[f"probability_{name}"] for name in answer.labels.names] == list(answer.probabilities.values())


def test_a_refusal_is_a_row_with_a_reason_and_no_numbers(predictor: Predictor) -> None:
    row = row_of(Path("a.png"), Refusal("a.png", "a.png: is empty; copy it again"), predictor)
    assert row == {
        "schema": "brainslice/prediction/1",
        "path": "a.png",
        "frame": None,
        "threshold": predictor.threshold,
        "bundle": predictor.bundle.info.digest,
        "source": "a.png",
        "refused": "a.png: is empty; copy it again",
    }
    cells = cells_of(row, LabelSet())
    filled = {name for name, cell in cells.items() if cell is not None}
    assert filled == {"path", "source", "threshold", "bundle", "refused"}


def test_lists_are_joined_in_a_cell() -> None:
    row = {
        "warnings": ["phantom", "leaky"],
        "reasons": [{"code": "out_of_distribution"}, {"code": "flat"}],
        "remarks": [{"code": "window"}, {"code": "sheared"}],
    }
    cells = cells_of(row, LabelSet())
    assert (cells["warnings"], cells["reasons"]) == ("phantom|leaky", "out_of_distribution|flat")
    assert cells["remarks"] == "window|sheared"


def test_numeric_columns() -> None:
    assert {name for name in columns_of(LabelSet(("a", "b"), "b")) if is_number(name)} == {
        *("tumour_probability", "threshold", "probability_a", "probability_b"),
        *("coverage", "ood_score", "entropy", "mutual_information"),
    }
