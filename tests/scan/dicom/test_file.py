from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import MAX_INFLATED, open_dicom
from hospital import PATIENT, big_endian, image, written

GREY = np.arange(48, dtype=np.uint16).reshape(6, 8)


def deflated(body: bytes) -> bytes:
    """A file that says it is deflated, and holds this."""
    made = image(GREY)
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    opening = written(made)
    start = 132 + 12 + int.from_bytes(opening[140:144], "little")
    packer = zlib.compressobj(wbits=-15)
    return opening[:start] + packer.compress(body) + packer.flush()


def test_elements_about_persons_are_not_read() -> None:
    data = written(image(GREY, PatientComments=PATIENT, ReferringPhysicianName=PATIENT, StudyDate="20200101"))
    assert PATIENT.encode() in data
    found = open_dicom(data)
    kept = {element.keyword for element in found}
    assert not {keyword for keyword in kept if "Patient" in keyword} - {
        "ImagePositionPatient",
        "ImageOrientationPatient",
    }
    assert not {keyword for keyword in kept if "Name" in keyword or "Date" in keyword or "Comment" in keyword}
    assert PATIENT not in str(found)


def test_every_encoding_of_the_elements_gives_the_same() -> None:
    implicit = image(GREY)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    body = written(image(GREY))
    body = body[132 + 12 + int.from_bytes(body[140:144], "little") :]
    for data in (written(image(GREY)), written(implicit), big_endian(image(GREY)), deflated(body), body):
        found = open_dicom(data)
        assert (found.Rows, found.Columns) == GREY.shape
        assert found.file_meta.TransferSyntaxUID


def test_the_transfer_syntax_of_a_file_without_a_preamble_is_read() -> None:
    for data, syntax in (
        (written(image(GREY)), ExplicitVRLittleEndian),
        (big_endian(image(GREY)), ExplicitVRBigEndian),
    ):
        bare = data[data.index(b"\x08\x00\x16\x00" if syntax.is_little_endian else b"\x00\x08\x00\x16") :]
        assert open_dicom(bare).file_meta.TransferSyntaxUID == syntax


def test_a_deflated_bomb_is_refused_within_the_budget() -> None:
    bomb = deflated(bytes(2 * MAX_INFLATED))
    assert len(bomb) < 1_000_000
    tracemalloc.start()
    with pytest.raises(UnreadableScanError, match="once inflated"):
        open_dicom(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2.5 * MAX_INFLATED
    tracemalloc.stop()


def test_pixels_can_be_left_in_the_file() -> None:
    data = written(image(GREY))
    assert "PixelData" in open_dicom(data)
    assert "PixelData" not in open_dicom(data, pixels=False)
