"""Files that claim, repeat or expand to far more than they hold: refused or read within fixed time and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from hospital import compressed, image, lossless_jpeg, nifti, slice_at, written

REFUSED_SECONDS, REFUSED_MEGABYTES, READ_MEGABYTES = 1.0, 150, 500
EMPTY = gzip.compress(b"", mtime=0)
SMALL = np.zeros((64, 64), np.uint8)


def saved(picture: Image.Image, encoding: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, encoding, **options)
    return buffer.getvalue()


def blank(mode: str, encoding: str, side: int = 5600, **options: object) -> bytes:
    return saved(Image.new(mode, (side, side)), encoding, **options)


def animation(encoding: str, frames: int, side: int) -> bytes:
    pages = [Image.new("L", (side, side), number % 250) for number in range(frames)]
    return saved(pages[0], encoding, save_all=True, append_images=pages[1:])


def progressive(scans: int, side: int = 4000) -> bytes:
    """A JPEG file whose last scan is there many times."""
    data = blank("L", "JPEG", side, progressive=True)[:-2]
    return data + data[data.rindex(b"\xff\xda") :] * scans + b"\xff\xd9"


def run_lengths(lines: int, width: int = 60_000, height: int = 1000) -> bytes:
    """A BMP file whose lines are all ended before they begin."""
    data, palette = b"\0\0" * lines, bytes(1024)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def tiny_frames(count: int) -> bytes:
    """A GIF file of many frames of one pixel."""
    return blank("L", "GIF", 1)[:-1] + (b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0") * count + b";"


def pages(count: int) -> bytes:
    """A TIFF file of many pages that share one pixel."""
    tags = [(256, 3, 1), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 0), (278, 3, 1), (279, 4, 1)]
    fields = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, kind, 1, at) for tag, kind, at in tags)
    size = len(fields) + 4
    return b"II*\0\x08\0\0\0" + b"".join(
        fields + struct.pack("<I", (8 + size * number) % (8 + size * count)) for number in range(1, count + 1)
    )


def voxels(shape: tuple[int, int, int], kind: type[np.generic]) -> bytes:
    """A compressed NIfTI file of zeros."""
    header = bytearray(nifti(np.zeros((1, 1, 1), kind))[:352])
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(int(np.prod(shape[1:])) * np.dtype(kind).itemsize)
    return packer.compress(bytes(header)) + b"".join(packer.compress(zeros) for _ in range(shape[0])) + packer.flush()


def with_stream(made: Dataset, stream: bytes, syntax: str) -> bytes:
    made.PixelData = encapsulate([stream])
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.file_meta.TransferSyntaxUID = syntax
    return written(made)


def lossless(side: int, predictor: int) -> bytes:
    """A lossless JPEG picture that takes one bit a pixel."""
    stream = lossless_jpeg(np.zeros((1, 1), np.uint16), predictor)
    start = stream.index(b"\xff\xda") + 10
    table = b"\0" + bytes([1, *[0] * 15]) + b"\0"
    frame = struct.pack(">BHHBBBB", 16, side, side, 1, 1, 0x11, 0)
    head = b"\xff\xd8\xff\xc3" + struct.pack(">H", len(frame) + 2) + frame
    head += b"\xff\xc4" + struct.pack(">H", len(table) + 2) + table + stream[start - 10 : start]
    made = image(np.zeros((side, side), np.uint16))
    return with_stream(made, head + bytes(side * side // 8 + 8) + b"\xff\xd9", JPEGLosslessSV1)


def palette(words: list[int]) -> bytes:
    elements: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"Segmented{colour}PaletteColorLookupTableData"] = struct.pack(f"<{len(words)}H", *words)
    return written(image(SMALL, **elements))


def deflated(length: int) -> bytes:
    data = written(image(SMALL))
    at = data.index(b"\x08\x00\x16\x00")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(data[at:]) + packer.compress(bytes(length)) + packer.flush()
    made = image(SMALL)
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = written(made)
    return whole[: whole.index(b"1.2.840.10008.1.2.1.99") + 22] + body


def orientations(count: int) -> dict[str, bytes]:
    angles = np.linspace(0, 1.5, count)
    rows = [(float(np.cos(angle)), float(np.sin(angle)), 0.0, 0.0, 0.0, -1.0) for angle in angles]
    return {f"{number}": slice_at(SMALL[:8, :8], number, row) for number, row in enumerate(rows)}


FILES: dict[str, Callable[[], bytes | dict[str, bytes]]] = {
    "frames that are not there": lambda: written(image(SMALL, NumberOfFrames=2**31 - 1)),
    "frames of compressed data": lambda: compressed(
        image(SMALL.astype(np.uint16), NumberOfFrames=1), RLELossless
    ).replace(b"\x28\0\x08\0IS\x02\x001 ", b"\x28\0\x08\0IS\x02\x0099"),
    "palette of long segments": lambda: palette([0, 1, 5, *[1, 0xFFFF, 0] * 8000]),
    "palette of repeated segments": lambda: palette([0, 1, 5, *[1, 0xFFFF, 0] * 100, *[2, 100, 3, 0] * 4000]),
    "palette that repeats itself": lambda: palette([0, 1, 5, *[2, 0xFFFF, 0, 0] * 4000]),
    "run-length BMP of ended lines": lambda: run_lengths(1000),
    "run-length BMP of some size": lambda: run_lengths(500_000),
    "empty gzip members": lambda: EMPTY * 20_000 + gzip.compress(nifti(np.zeros((9, 9, 9), np.int16))),
    "TIFF of 40,000 pages": lambda: pages(40_000),
    "GIF of 50,000 frames": lambda: tiny_frames(50_000),
    "GIF frames": lambda: animation("GIF", 60, 1200),
    "APNG frames": lambda: animation("PNG", 60, 1200),
    "JPEG of 300 scans": lambda: progressive(300),
    "RGBA of 8,000 x 8,000": lambda: blank("RGBA", "PNG", 8000, compress_level=1),
    "RGBA": lambda: blank("RGBA", "PNG", 5000, compress_level=0),
    "progressive RGB": lambda: blank("RGB", "JPEG", progressive=True, subsampling=0),
    "BMP": lambda: blank("RGB", "BMP"),
    "DICOM": lambda: written(image(np.zeros((5600, 5600), np.uint16))),
    "TIFF of real numbers": lambda: blank("F", "TIFF", compression="tiff_adobe_deflate"),
    "WebP": lambda: blank("RGBA", "WEBP", method=0),
    "NIfTI of 16 bits": lambda: voxels((500, 400, 300), np.int16),
    "NIfTI of 64 bits": lambda: voxels((500, 400, 320), np.float64),
    "lossless JPEG, 1,024": lambda: lossless(1024, 7),
    "lossless JPEG, 4,096": lambda: lossless(4096, 7),
    "JPEG 2000": lambda: compressed(image(np.zeros((5600, 5600), np.uint16)), JPEG2000Lossless),
    "RLE in colours": lambda: compressed(image(np.zeros((3200, 3200, 3), np.uint8)), RLELossless),
    "deflated": lambda: deflated(300_000_000),
    "orientations": lambda: orientations(400),
}

# In a process of its own, whose peak of memory and CPU time, and those of the decoder processes, tell nothing else.
_READ = """
import json, resource, sys, time
from pathlib import Path
import brainslice.scan.dicom.series, brainslice.scan.nifti.reader, brainslice.scan.raster
from brainslice.errors import UnreadableScanError
from brainslice.scan import decoder_process, read_scan, read_volume
def used():
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
path, frame, found = Path(sys.argv[1]), int(sys.argv[2]) or None, []
for read in (lambda: read_scan(path, frame), lambda: read_volume(path)):
    before = used()
    try:
        read()
        message = ""
    except UnreadableScanError as error:
        message = str(error)
    decoder_process._POOL.close()
    after = used()
    # Summed before they are subtracted: equal times must give exactly 0, or the peak of an earlier read counts again.
    seconds = [(a.ru_utime + a.ru_stime) - (b.ru_utime + b.ru_stime) for a, b in zip(after, before)]
    grown = (after[0].ru_maxrss - before[0].ru_maxrss) // 1024
    found.append((message, seconds, [grown, after[1].ru_maxrss // 1024 if seconds[1] else 0]))
print(json.dumps(found))
"""
_START_SECONDS, _START_MEGABYTES = 0.9, 65  # of a decoder process that has read nothing


def measured(path: Path, frame: int = 0) -> list[tuple[str, list[float], list[int]]]:
    command = [sys.executable, "-c", _READ, str(path), str(frame)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=dict(os.environ))
    assert not done.stderr
    found: list[tuple[str, list[float], list[int]]] = json.loads(done.stdout)
    return found


def check(path: Path, frame: int = 0) -> None:
    for message, (own, of_decoder), (grown, decoder) in measured(path, frame):
        more = max(grown, decoder - _START_MEGABYTES)
        assert more < (REFUSED_MEGABYTES if message else READ_MEGABYTES), (message, more)
        if message:
            files = [path] if path.is_file() else path.rglob("*")
            size = sum(file.stat().st_size for file in files)
            linear = size / (1 << 20)
            assert own < REFUSED_SECONDS + linear, message
            assert of_decoder < REFUSED_SECONDS + _START_SECONDS + linear, message
            assert len(message.splitlines()) == 1


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and measures as Linux does")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_claims_more_than_it_holds_is_refused_or_read_within_the_limits(tmp_path: Path, name: str) -> None:
    made = FILES[name]()
    path = tmp_path / "bomb"
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        path.mkdir()
        for each, data in made.items():
            (path / each).write_bytes(data)
    check(path)


@pytest.mark.parametrize("name", ["GIF frames", "APNG frames", "TIFF of 40,000 pages"])
def test_a_late_frame_is_refused_or_read_within_the_limits(tmp_path: Path, name: str) -> None:
    data = FILES[name]()
    assert isinstance(data, bytes)
    (tmp_path / "bomb").write_bytes(data)
    check(tmp_path / "bomb", 50)


@pytest.mark.real
@pytest.mark.parametrize("name", ["bmp_rle_eol.bmp", "dcm_frames_2e9.dcm", "dcm_seglut_8000.dcm", "panic2.dcm"])
def test_the_files_that_once_did_harm_are_refused_within_the_limits(real_scans: Path, name: str) -> None:
    check(real_scans / "outsiders" / "attack" / name)
