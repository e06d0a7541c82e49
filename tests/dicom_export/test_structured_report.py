from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor

pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")

WriteSource = Callable[..., Path]
Ask = Callable[..., Prediction]


def test_a_report_says_what_the_prediction_says(predictor: Predictor, write_source: WriteSource, ask: Ask) -> None:
    from highdicom.sr import Comprehensive3DSR

    from brainslice.dicom_export.source import ExportContext, read_source
    from brainslice.dicom_export.structured_report import make_structured_report

    path = write_source()
    source, answer = read_source(path), ask(path)
    assert source is not None
    report = make_structured_report(ExportContext.of(predictor, source), answer)
    (group,) = Comprehensive3DSR.from_dataset(report).content.get_image_measurement_groups()
    assert group.finding_type.value == answer.verdict.value.replace(" ", "-")
    told = {each.name.value.removeprefix("probability-"): each.value for each in group.get_measurements()}
    assert told.pop("any-tumour") == pytest.approx(answer.tumour_probability, abs=1e-6)
    assert told == pytest.approx(answer.probabilities, abs=1e-6)
    said = {each.name.value: each.value.meaning for each in group.get_qualitative_evaluations()}
    assert said["use"] == "research use only, not for diagnosis"
    assert said["most-probable"] == answer.predicted_class
    assert said["mark"] == "phantom"
    assert group.source_images[0].referenced_sop_instance_uid == source.dataset.SOPInstanceUID


def test_a_report_lies_in_the_sources_study_unverified_and_for_research(
    predictor: Predictor, write_source: WriteSource, ask: Ask
) -> None:
    from brainslice.dicom_export.source import ExportContext, read_source
    from brainslice.dicom_export.structured_report import make_structured_report

    path = write_source()
    source = read_source(path)
    assert source is not None
    report = make_structured_report(ExportContext.of(predictor, source), ask(path))
    assert report.StudyInstanceUID == source.dataset.StudyInstanceUID
    assert report.SeriesInstanceUID != source.dataset.SeriesInstanceUID
    assert (report.PatientID, report.PatientName) == (source.dataset.PatientID, source.dataset.PatientName)
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert "research use only" in report.SeriesDescription
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert [each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence] == [source.dataset.SOPInstanceUID]


def test_a_report_names_the_model_by_its_digest(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path
) -> None:
    from brainslice.dicom_export.source import ExportContext, read_source
    from brainslice.dicom_export.structured_report import make_structured_report

    path, info = write_source(), predictor.bundle.info
    source = read_source(path)
    assert source is not None
    report = make_structured_report(ExportContext.of(predictor, source), ask(path))
    assert report.DeviceSerialNumber == info.digest
    report.save_as(tmp_path / "report.dcm")
    written = (tmp_path / "report.dcm").read_bytes()
    assert f"bundle sha256 {info.digest}".encode() in written
    assert info.name.encode() in written
