from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from brainslice.errors import UnreadableScanError

pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")

WriteSource = Callable[..., Path]


def test_a_file_says_where_its_picture_lies(write_source: WriteSource) -> None:
    from brainslice.dicom_export.source import ImagePlane, read_source

    source = read_source(write_source())
    assert source is not None
    assert source.image_plane == ImagePlane((-80.0, -100.0, 12.5), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.75, 0.5), 3.0)


@pytest.mark.parametrize(
    "name", ["FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_a_picture_without_a_place_has_none(name: str, write_source: WriteSource) -> None:
    from brainslice.dicom_export.source import read_source

    source = read_source(write_source(**{name: None}))
    assert source is not None
    assert source.image_plane is None


def test_what_is_no_dicom_file_is_no_source(tmp_path: Path) -> None:
    from brainslice.dicom_export.source import read_source

    (tmp_path / "scan.png").write_bytes(bytes(300))
    assert read_source(tmp_path / "scan.png") is None


def test_a_file_without_a_preamble_is_a_source_as_it_is_a_scan(write_source: WriteSource, tmp_path: Path) -> None:
    from brainslice.dicom_export.source import read_source

    data = write_source().read_bytes()
    bare = tmp_path / "bare"
    # Old archives wrote the elements alone, without a preamble and the file's own group.
    bare.write_bytes(data[data.index(b"\x08\x00\x05\x00CS") :])
    source = read_source(bare)
    assert source is not None
    assert source.image_plane is not None


def test_a_file_that_does_not_name_its_study_is_refused(write_source: WriteSource) -> None:
    from brainslice.dicom_export.source import read_source

    with pytest.raises(UnreadableScanError, match="got no StudyInstanceUID; export it again"):
        read_source(write_source(StudyInstanceUID=None))


def test_a_source_never_shows_its_patient(write_source: WriteSource) -> None:
    from brainslice.dicom_export.source import read_source

    source = read_source(write_source())
    assert source is not None
    assert str(source.dataset.PatientID) == "4711"
    assert "4711" not in repr(source)
