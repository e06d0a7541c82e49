from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import brainslice
from brainslice.errors import MissingExtraError, UnreadableScanError
from brainslice.inference.prediction import Refusal
from stand_in import SIZE


def test_every_kind_of_source_gives_the_same_prediction(predictor: brainslice.Predictor, scan: Path) -> None:
    with Image.open(scan) as opened:
        opened.load()
        pixels = np.asarray(opened.convert("L"))
        sources = [str(scan), scan, scan.read_bytes(), opened, pixels, np.stack([pixels] * 3, axis=-1)]
        results = [predictor.predict(source) for source in sources]
    expected = list(results[0].probabilities.values())
    for result in results[1:]:
        assert list(result.probabilities.values()) == pytest.approx(expected, abs=1e-4)
    assert [result.source for result in results] == [scan.name, scan.name, "bytes", "image", "array", "array"]


@pytest.mark.parametrize("values", [np.zeros((2, 3, 4, 5)), np.zeros((4, 4), dtype=complex), np.zeros((4, 4, 7))])
def test_an_array_that_is_no_slice_is_refused(predictor: brainslice.Predictor, values: np.ndarray) -> None:
    with pytest.raises(UnreadableScanError, match=r"must be numbers \(h, w\)"):
        predictor.predict(values)


def test_a_prediction_shows_its_heat_map_and_itself(predictor: brainslice.Predictor, scan: Path) -> None:
    result = predictor.predict(scan)
    assert result.heat_map().shape == (SIZE, SIZE)
    assert result.overlay().size == (SIZE, SIZE)
    assert repr(result).startswith(f"<Prediction {scan.name}: ")
    assert "data:image/png;base64," in result._repr_html_()
    assert len(repr(predictor)) < 200


def test_many_scans_become_a_list_with_refusals(trained: Path, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    bundle = trained / "models" / "bundle"
    found = brainslice.predict_many([scan.parent, tmp_path, np.zeros((8, 8))], bundle=bundle)
    assert len(found) == len(list(scan.parent.iterdir())) + 2
    assert sum(isinstance(each, Refusal) for each in found) == 1
    assert "1 refused" in repr(found)
    assert found._repr_html_().count("<tr>") == len(found) + 1
    assert len(brainslice.predict_many(str(scan), bundle=bundle)) == 1


def test_a_table_takes_strings(predictor: brainslice.Predictor, scan: Path, tmp_path: Path) -> None:
    summary = brainslice.predict_tree(predictor, [str(scan)], str(tmp_path / "rows.csv"))
    assert (summary.rows, summary.refused) == (1, 0)
    assert brainslice.read_scan(str(scan)).digest == brainslice.read_scan(scan).digest


def test_a_data_frame_needs_pandas_and_says_so(trained: Path, scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = brainslice.predict_many(scan, bundle=trained / "models" / "bundle")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'brainslice\[pandas\]'"):
        found.to_dataframe()


def test_a_data_frame_has_a_column_for_each_class(trained: Path, scan: Path) -> None:
    pytest.importorskip("pandas")
    frame = brainslice.predict_many(scan, bundle=trained / "models" / "bundle").to_dataframe()
    assert {"source", "class", "probability_glioma", "verdict"} <= set(frame.columns)
