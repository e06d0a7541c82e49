from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brainslice.inference.predictor import Predictor

pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")

WriteSource = Callable[..., Path]


@pytest.mark.parametrize("strongest", [0.0, 0.004, 12.0])
def test_a_map_holds_the_evidence_where_its_source_lies(
    strongest: float,
    predictor: Predictor,
    write_source: WriteSource,
    errors_of: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    from brainslice.dicom_export.parametric_map import make_parametric_map
    from brainslice.dicom_export.source import ExportContext, read_source

    source = read_source(write_source())
    assert source is not None
    place = source.image_plane
    assert place is not None
    shape = (source.dataset.Rows, source.dataset.Columns)
    heat = np.linspace(0.0, strongest, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    drawn = make_parametric_map(ExportContext.of(predictor, source), [place], heat[np.newaxis], "glioma")
    np.testing.assert_array_equal(np.frombuffer(drawn.FloatPixelData, np.float32).reshape(shape), heat)
    assert drawn.FrameOfReferenceUID == source.dataset.FrameOfReferenceUID
    assert drawn.StudyInstanceUID == source.dataset.StudyInstanceUID
    assert drawn.ContentQualification == "RESEARCH"
    assert "research use only" in drawn.SeriesDescription
    shared, frame = drawn.SharedFunctionalGroupsSequence[0], drawn.PerFrameFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.75, 0.5]
    assert frame.PlanePositionSequence[0].ImagePositionPatient == [-80, -100, 12.5]
    assert "glioma" in shared.RealWorldValueMappingSequence[0].LUTExplanation
    drawn.save_as(tmp_path / "map.dcm")
    assert errors_of(tmp_path / "map.dcm") == []
