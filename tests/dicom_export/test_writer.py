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
from brainslice.inference.volume import predict_volume
from brainslice.scan.read import read_scan
from brainslice.scan.volume.reader import read_volume
from hospital import AXIAL, PATIENT, SAGITTAL, SERIES, head, nifti, write_series

pydicom = pytest.importorskip("pydicom", reason="needs the extra brainslice[dicom-out]")
pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")

WriteSource = Callable[..., Path]
Ask = Callable[..., Prediction]
ErrorsOf = Callable[[Path], list[str]]
Real = Callable[[str, int | None], tuple[Path, ...]]


def identity(path: Path) -> tuple[str, str]:
    """The UIDs of an object: its series, and its own."""
    made = pydicom.dcmread(path)
    return str(made.SeriesInstanceUID), str(made.SOPInstanceUID)


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


def test_the_same_prediction_gives_the_same_objects_and_another_threshold_others(
    predictor: Predictor, write_source: WriteSource, ask: Ask, tmp_path: Path
) -> None:
    from brainslice.dicom_export.writer import write_dicom

    path = write_source()
    first = write_dicom(predictor, path, ask(path), tmp_path / "out" / "head")
    before = [identity(each) for each in first]
    assert write_dicom(predictor, path, ask(path), tmp_path / "out" / "head") == first
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert [identity(each) for each in first] == before
    write_dicom(replace(predictor, threshold=0.7), path, ask(path), tmp_path / "out" / "head")
    after = [identity(each) for each in first]
    assert [each[0] for each in after] == [each[0] for each in before], "one series of each kind for a study and model"
    assert not {each[1] for each in after} & {each[1] for each in before}, "another content needs another name"


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """An axial series of a drawn head, with a made-up patient."""
    return write_series(
        tmp_path / "series", head(12), StudyInstanceUID=f"{SERIES}.1", FrameOfReferenceUID=f"{SERIES}.3"
    )


def write_volume(predictor: Predictor, path: Path, folder: Path, *, first: bool = False) -> list[Path]:
    from brainslice.dicom_export.writer import write_volume_dicom

    volume = read_volume(path, first=first)
    answer = predict_volume(predictor, volume, "series")
    return list(write_volume_dicom(predictor, path, volume, answer, folder / "series"))


def test_a_series_becomes_one_report_one_map_and_one_key_image_without_errors(
    predictor: Predictor, series: Path, errors_of: ErrorsOf, tmp_path: Path
) -> None:
    written = write_volume(predictor, series, tmp_path / "out")
    assert [each.name for each in written] == ["series_report.dcm", "series_map.dcm", "series_capture.dcm"]
    assert {each.name: errors_of(each) for each in written} == {each.name: [] for each in written}
    made = [pydicom.dcmread(each) for each in written]
    assert {each.StudyInstanceUID for each in made} == {f"{SERIES}.1"}
    assert {str(each.PatientName) for each in made} == {PATIENT}
    assert len({each.SeriesInstanceUID for each in made}) == 3
    report, drawn, _ = made
    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"
    assert drawn.NumberOfFrames == 12
    references = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert len(references) == 12
    again = write_volume(predictor, series, tmp_path / "again")
    assert [identity(each) for each in again] == [identity(each) for each in written]


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)])
def test_each_frame_of_a_series_map_lies_on_the_image_it_references(
    directions: tuple[float, ...], predictor: Predictor, tmp_path: Path
) -> None:
    path = write_series(
        tmp_path / "series",
        head(12, side=16),
        step=1.0,
        directions=directions,
        StudyInstanceUID=f"{SERIES}.1",
        FrameOfReferenceUID=f"{SERIES}.3",
    )
    _, made, _ = write_volume(predictor, path, tmp_path / "out")
    drawn = pydicom.dcmread(made)
    sources = {str(each.SOPInstanceUID): each for each in map(pydicom.dcmread, path.iterdir())}
    frames = np.frombuffer(drawn.FloatPixelData, np.float32).reshape(12, 16, 16)
    referenced = []
    for group in drawn.PerFrameFunctionalGroupsSequence:
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        source = sources[image.ReferencedSOPInstanceUID]
        assert group.PlanePositionSequence[0].ImagePositionPatient == source.ImagePositionPatient
        referenced.append(source)
    assert len({each.SOPInstanceUID for each in referenced}) == 12
    volume = read_volume(path)
    assert volume.stack is not None
    stack = volume.stack.reorientation.undo(volume.voxels)
    by_place = {str(path / name): layer for (name, _), layer in zip(volume.stack.images, stack, strict=True)}
    for name, layer in by_place.items():
        np.testing.assert_array_equal(layer, pydicom.dcmread(name).pixel_array)
    assert frames.max() > 0
    # The drawn head is bright where the model sees evidence, so the heat follows the image it lies on.
    pixels = np.stack([each.pixel_array for each in referenced])
    assert frames[pixels > 0].mean() > 2 * frames[pixels == 0].mean()


def test_a_series_without_a_frame_of_reference_gets_no_map(predictor: Predictor, tmp_path: Path) -> None:
    path = write_series(tmp_path / "series", head(12), StudyInstanceUID=f"{SERIES}.1")
    written = write_volume(predictor, path, tmp_path / "out")
    assert [each.name for each in written] == ["series_report.dcm", "series_capture.dcm"]


def test_a_nifti_volume_gets_no_dicom_objects(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "head.nii"
    path.write_bytes(nifti(head(24).T.astype(np.int16)))
    assert write_volume(predictor, path, tmp_path / "out") == []


@pytest.mark.real
@pytest.mark.parametrize("name", ["XA10_6_1.dcm", "Philips_IM_0027_fMAP.dcm"])
def test_real_multi_frame_series_get_objects_without_errors_of_our_making(
    name: str, predictor: Predictor, real_scans: Path, errors_of: ErrorsOf, tmp_path: Path
) -> None:
    path = real_scans / "dicom" / "enhanced" / name
    first = name.startswith("Philips")
    written = write_volume(predictor, path, tmp_path / "out", first=first)
    assert [each.stem.split("_")[-1] for each in written] == ["report", "map", "capture"]
    assert {each.name: errors_of(each) for each in written} == {each.name: [] for each in written}
    volume = read_volume(path, first=first)
    assert pydicom.dcmread(written[1]).NumberOfFrames == len(volume.stack.images if volume.stack else ())


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
