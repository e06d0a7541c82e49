from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.scan.listing import SkippedFiles
from brainslice.scan.volume.reader import decode_volume
from brainslice.service.archive import extract_archives
from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits
from brainslice.service.uploads import UploadedFile

SMALL = Limits(file_bytes=100_000, request_bytes=200_000, study_files=5)


def packed(files: Mapping[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def unpack(data: bytes, limits: Limits = SMALL) -> list[UploadedFile]:
    return extract_archives([UploadedFile("study.zip", data)], limits, ConcurrencyLimit(limits).enter().hold)


def fault(data: bytes) -> ErrorCode:
    with pytest.raises(ProblemError) as caught:
        unpack(data)
    assert len(caught.value.detail.splitlines()) == 1
    return caught.value.fault


@given(st.lists(st.binary(max_size=200).filter(lambda data: not data.startswith(b"PK")), min_size=1, max_size=5))
def test_extracted_files_are_unchanged(files: list[bytes]) -> None:
    found = unpack(packed({f"study/{place}.dcm": data for place, data in enumerate(files)}))
    assert [file.data for file in found] == files
    assert [file.name for file in found] == [f"{place}.dcm" for place in range(len(files))]


def test_other_files_are_passed_through() -> None:
    files = [UploadedFile("1.dcm", b"one"), UploadedFile("study.zip", packed({"2.dcm": b"two"}))]
    found = extract_archives(files, SMALL, ConcurrencyLimit(SMALL).enter().hold)
    assert [file.data for file in found] == [b"one", b"two"]


def test_folders_and_system_files_are_ignored() -> None:
    names = ("study/", "study/.DS_Store", "__MACOSX/study/._1.dcm", "study/DICOMDIR", "study/1.dcm")
    assert [file.name for file in unpack(packed(dict.fromkeys(names, b"x")))] == ["1.dcm"]


def test_zip_bombs_are_refused_during_extraction() -> None:
    assert fault(packed({"1.dcm": bytes(5_000_000)})) is ErrorCode.TOO_LARGE
    assert fault(packed({f"{place}.dcm": bytes(90_000) for place in range(4)})) is ErrorCode.TOO_LARGE


def test_too_many_files_are_refused() -> None:
    assert fault(packed({f"{place}.dcm": b"x" for place in range(6)})) is ErrorCode.TOO_LARGE


def test_an_archive_in_an_archive_is_refused() -> None:
    assert fault(packed({"inner.zip": packed({"1.dcm": b"x"})})) is ErrorCode.UNREADABLE_SCAN


def test_an_empty_archive_is_refused() -> None:
    assert fault(packed({})) is ErrorCode.UNREADABLE_SCAN
    assert fault(packed({"study/": b""})) is ErrorCode.UNREADABLE_SCAN


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compression_methods_are_refused(kind: int) -> None:
    assert fault(packed({"1.dcm": b"x"}, kind)) is ErrorCode.UNREADABLE_SCAN


def test_an_encrypted_archive_is_refused() -> None:
    data = bytearray(packed({"1.dcm": b"x"}))
    central = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[central + 8] |= 1
    assert fault(bytes(data)) is ErrorCode.UNREADABLE_SCAN


@given(st.integers(0, 300), st.integers(0, 255))
def test_a_damaged_archive_gives_files_or_one_problem(place: int, value: int) -> None:
    data = bytearray(packed({"study/1.dcm": b"one" * 30, "study/2.dcm": b"two" * 30}))
    data[4 + place % (len(data) - 4)] = value
    try:
        assert unpack(bytes(data))
    except ProblemError as error:
        outcome = error.fault
    else:
        outcome = None
    assert outcome in {None, ErrorCode.UNREADABLE_SCAN, ErrorCode.TOO_LARGE}


def test_what_is_no_scan_is_counted_and_scans_are_found_behind_backslashes() -> None:
    files = {
        "disc\\DICOMDIR": bytes(128) + b"DICM",
        "disc\\SE0\\IM1": bytes(128) + b"DICM" + b"one",
        "disc\\SE0\\a.png": b"a",
        "disc\\SE0\\a_mask.png": b"m",
        "disc\\README.TXT": b"x",
        "disc\\viewer.exe": bytes(150_000),
        "disc\\masks\\1.dcm": b"x",
        "__MACOSX\\x\\._y": b"x",
    }
    skipped = SkippedFiles()
    data = packed(files).replace(b"\x14\x03\x14", b"\x14\x00\x14")
    found = extract_archives([UploadedFile("disc.zip", data)], SMALL, ConcurrencyLimit(SMALL).enter().hold, skipped)
    assert [file.name for file in found] == ["IM1", "a.png"]
    assert dict(skipped.counts) == {"files that are no scans": 3, "tumour outlines": 2, "hidden or system files": 1}


@pytest.mark.real
@pytest.mark.parametrize(("name", "passed_over"), [("cd", 5), ("cd2", 2), ("cd3", 1)])
def test_patient_discs_hold_one_series(name: str, passed_over: int) -> None:
    disc = (
        Path(__file__).resolve().parents[3]
        / "shared"
        / "data"
        / "outsiders"
        / "16-disc-zip-and-dicomdir"
        / f"{name}.zip"
    )
    if not disc.is_file():
        pytest.skip("the files of other programs are absent")
    limits, skipped = Limits(), SkippedFiles()
    files = extract_archives(
        [UploadedFile("cd", disc.read_bytes())], limits, ConcurrencyLimit(limits).enter().hold, skipped
    )
    volume = decode_volume({file.name: file.data for file in files}, "cd", skipped=skipped)
    assert (volume.voxels.shape[0], [remark.value for remark in volume.remarks]) == (32, [passed_over])
