from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import DatasetError
from brainslice.inference.overlay import draw_page
from brainslice.inference.predictor import Predictor
from brainslice.scan.read import read_scan
from brainslice.service.explanation import explanation, overlay


def test_maps_are_the_evidence_of_each_class(predictor: Predictor, scans: list[Path]) -> None:
    prediction = predictor.predict(scans[0])
    told = explanation(prediction, read_scan(scans[0]))
    assert list(told["maps"]) == list(prediction.labels.names)
    stacked = np.stack(list(told["maps"].values()), axis=-1)
    np.testing.assert_allclose(stacked, prediction.class_maps, atol=1e-6)
    assert told["prediction"] == prediction.to_json()


def test_the_overlay_is_the_page_that_predict_writes(predictor: Predictor, scans: list[Path]) -> None:
    prediction = predictor.predict(scans[0])
    drawn = Image.open(io.BytesIO(overlay(prediction, "glioma", 0.4)))
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(draw_page(prediction, "glioma", 0.4)))


def test_a_class_there_is_not_cannot_be_shown(predictor: Predictor, scans: list[Path]) -> None:
    with pytest.raises(DatasetError):
        overlay(predictor.predict(scans[0]), "migraine", 0.4)
