from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.decision.verdict import Reason, Verdict
from brainslice.inference.overlay import RESEARCH_ONLY, draw_page
from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.inference.volume import predict_volume
from brainslice.scan.volume.reader import read_volume
from hospital import SERIES, head, write_series

pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")


def test_the_key_image_bears_the_note_on_use_and_no_patient(predictor: Predictor, tmp_path: Path) -> None:
    from brainslice.dicom_export.capture import make_capture
    from brainslice.dicom_export.source import ExportContext, read_source

    path = write_series(tmp_path / "series", head(12), StudyInstanceUID=f"{SERIES}.1")
    source = read_source(next(path.iterdir()))
    assert source is not None
    answer = predict_volume(predictor, read_volume(path), "series")
    capture = make_capture(ExportContext.of(predictor, source), answer, "glioma")
    strongest = max(answer.decisive_slices, key=lambda each: each.prediction.tumour_probability).prediction
    note = " · ".join((RESEARCH_ONLY, *strongest.warnings))
    expected = np.asarray(draw_page(strongest, "glioma", lines=("", "", note)))
    assert "research use only, not for diagnosis" in note
    assert capture.pixel_array.shape == expected.shape
    np.testing.assert_array_equal(capture.pixel_array[-26:], expected[-26:])
    assert Image.fromarray(expected[-26:]).getbbox() is not None, "the note is drawn"
    assert capture.BurnedInAnnotation == "NO"
    (reference,) = capture.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == source.dataset.SOPInstanceUID


def test_a_rejected_series_shows_the_reason_and_no_probability(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import brainslice.dicom_export.capture as module
    from brainslice.dicom_export.source import ExportContext, read_source

    path = write_series(tmp_path / "series", head(12), StudyInstanceUID=f"{SERIES}.1")
    source = read_source(next(path.iterdir()))
    assert source is not None
    answer = predict_volume(predictor, read_volume(path), "series")
    reason = next(each for each in Reason if each.rejects_input)
    rejected = tuple(
        replace(each, prediction=replace(each.prediction, verdict=Verdict.REFER, reasons=(reason,)))
        for each in answer.slices
    )
    shown: list[tuple[str, ...]] = []

    def draw(prediction: Prediction, name: str, *, lines: tuple[str, str, str]) -> Image.Image:
        shown.append(lines)
        return draw_page(prediction, name, lines=lines)

    monkeypatch.setattr(module, "draw_page", draw)
    module.make_capture(ExportContext.of(predictor, source), answer, "glioma")
    module.make_capture(ExportContext.of(predictor, source), replace(answer, slices=rejected), "glioma")
    assert "any tumour" in shown[0][0]
    assert shown[1][0] == f"refer: {reason.message}"
