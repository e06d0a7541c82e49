from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.errors import UnreadableScanError
from brainslice.inference.heat_map import upsample
from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.scan.read import read_scan

pydicom = pytest.importorskip("pydicom", reason="needs the extra brainslice[dicom-out]")
pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")

WriteSource = Callable[..., Path]
Ask = Callable[..., Prediction]
ErrorsOf = Callable[[Path], list[str]]
Real = Callable[[str, int | None], tuple[Path, ...]]


@pytest.fixture
def real(predictor: Predictor, ask: Ask, real_scans: Path, tmp_path: Path) -> Real:
    """Write the objects of a real file."""
    from brainslice.dicom_export.writer import write_dicom

    def write(name: str, frame: int | None) -> tuple[Path, ...]:
        path = real_scans / "dicom" / name
        return write_dicom(replace(predictor, frame=frame), path, ask(path, frame), tmp_path / "head")

    return write


def test_a_prediction_becomes_a_report_and_a_map_without_errors(
    predictor: Predictor, write_source: WriteSource, ask: Ask, errors_of: ErrorsOf, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source()
    written = write_dicom(predictor, path, ask(path), tmp_path / "out" / "head")
    assert [each.name for each in written] == ["head_report.dcm", "head_map.dcm"]
    assert {each.name: errors_of(each) for each in written} == {"head_report.dcm": [], "head_map.dcm": []}


def test_the_map_lies_on_the_sources_own_pixels(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source()
    answer = ask(path)
    _, drawn = write_dicom(predictor, path, answer, tmp_path / "head")
    source, scan = pydicom.dcmread(path), read_scan(path)
    heat = np.frombuffer(pydicom.dcmread(drawn).FloatPixelData, np.float32).reshape(source.Rows, source.Columns)
    assert scan.pixels.shape == (round(source.Rows * 1.5), source.Columns), "it is seen in square pixels"
    frame = predictor.recipe.frame(scan)
    assert heat.max() == pytest.approx(answer.heat_map().max(), rel=0.05)
    back = frame.warp(upsample(heat, *scan.pixels.shape))
    inside = frame.warp(np.ones_like(scan.pixels)) == 1
    assert np.corrcoef(back[inside], answer.heat_map()[inside])[0, 1] > 0.99


def test_a_patients_name_keeps_its_letters_and_goes_nowhere_else(
    predictor: Predictor,
    write_source: WriteSource,
    ask: Ask,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    # A name of one part makes the library warn, with the name in the warning.
    path = write_source(PatientName="Müllerzoë", SpecificCharacterSet="ISO_IR 100")
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        answer = ask(path)
        written = write_dicom(predictor, path, answer, tmp_path / "head")
    for each in written:
        assert str(pydicom.dcmread(each).PatientName) == "Müllerzoë"
    heard = [*map(str, warned), caplog.text, *capfd.readouterr(), repr(answer)]
    assert not [words for words in heard if "llerzo" in words or "4711" in words]


def test_a_picture_without_a_place_gets_a_report_alone(
    predictor: Predictor, write_source: WriteSource, ask: Ask, errors_of: ErrorsOf, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source(FrameOfReferenceUID=None)
    (report,) = write_dicom(predictor, path, ask(path), tmp_path / "head")
    assert errors_of(report) == []


def test_a_later_run_replaces_what_an_earlier_one_wrote(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source()
    first = write_dicom(predictor, path, ask(path), tmp_path / "out" / "head")
    before = pydicom.dcmread(first[0]).SOPInstanceUID
    assert write_dicom(predictor, path, ask(path), tmp_path / "out" / "head") == first
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert pydicom.dcmread(first[0]).SOPInstanceUID != before, "another content needs another name"


def test_what_a_study_lacks_is_refused_without_quoting_it(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source(SeriesInstanceUID=None)
    with pytest.raises(UnreadableScanError, match="got no SeriesInstanceUID") as caught:
        write_dicom(predictor, path, ask(path), tmp_path / "head")
    assert "Müller" not in str(caught.value)


def test_the_frame_that_was_answered_for_is_the_one_that_is_reported(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source()
    made = pydicom.dcmread(path)
    made.PixelData, made.NumberOfFrames = made.PixelData * 3, 3
    del made.FrameOfReferenceUID
    made.save_as(path)
    second = replace(predictor, frame=2)
    (report,) = write_dicom(second, path, ask(path, 2), tmp_path / "head")
    said = pydicom.dcmread(report).to_json()
    assert '"00081160":{"Value":[2],"vr":"IS"}' in said.replace(" ", "")


def test_what_cannot_be_written_is_refused_without_quoting_it_and_leaves_nothing(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    def save(made: pydicom.Dataset, *_: object, **__: object) -> None:
        if made.SOPClassUID.name == "Parametric Map Storage":
            msg = f"Invalid value: {made.PatientName}"
            raise ValueError(msg)

    path = write_source()
    monkeypatch.setattr(pydicom.Dataset, "save_as", save)
    with pytest.raises(UnreadableScanError, match="the DICOM file's study is damaged") as caught:
        write_dicom(predictor, path, ask(path), tmp_path / "out" / "head")
    assert "Müller" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "frame", "kinds"),
    [
        ("single/MR_small.dcm", None, ["report", "map"]),
        ("single/MR_small_bigendian.dcm", None, ["report", "map"]),
        ("single/MR2_J2KI.dcm", None, ["report", "map"]),
        ("single/emri_small.dcm", 3, ["report"]),
        ("enhanced/XA10_6_1.dcm", 2, ["report", "map"]),
        ("enhanced/Philips_IM_0027_fMAP.dcm", 5, ["report", "map"]),
        ("series_head/head_003.dcm", None, ["report", "map"]),
    ],
)
def test_real_files_get_objects_without_errors_of_our_making(
    name: str, frame: int | None, kinds: list[str], real: Real, errors_of: ErrorsOf
) -> None:
    written = real(name, frame)
    assert [each.stem.split("_")[-1] for each in written] == kinds
    assert [errors_of(each) for each in written] == [[] for _ in kinds]


@pytest.mark.real
@pytest.mark.parametrize("name", ["XA10_6_1.dcm", "Philips_IM_0027_fMAP.dcm"])
def test_a_map_names_the_very_frame_it_was_made_from(name: str, real: Real) -> None:
    _, drawn = real(f"enhanced/{name}", 3)
    (derived,) = pydicom.dcmread(drawn).PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    assert [each.ReferencedFrameNumber for each in derived.SourceImageSequence] == [3]
