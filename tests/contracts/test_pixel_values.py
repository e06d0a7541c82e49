"""Equal stored values in every transfer syntax, and the levels of 16-bit PNG colours."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from brainslice.scan import decode_scan, read_scan
from brainslice.scan.dicom.intensity import grey_frame
from brainslice.scan.dicom.pixels import decode_frames
from hospital import big_endian, compressed, image, written

OUTSIDERS = Path(__file__).resolve().parents[3] / "shared" / "data" / "outsiders"
SHAPE = (64, 80)
SYNTAXES = ("explicit", "implicit", "big endian", RLELossless, JPEGLSLossless, JPEG2000Lossless)
NATIVE = SYNTAXES[:3]
# BitsAllocated, BitsStored, HighBit
LAYOUTS = ((8, 8, 7), (16, 8, 7), (16, 8, 11), (16, 8, 15), (16, 12, 11), (16, 12, 15), (16, 16, 15))
CASES = [
    (syntax, layout, signed)
    for syntax, layout, signed in product(SYNTAXES, LAYOUTS, (False, True))
    # pydicom encodes whole words only, and RLE of 8 stored bits in 16 not at all.
    if syntax in NATIVE or (layout[2] == layout[1] - 1 and (syntax != RLELossless or layout[:2] != (16, 8)))
]


def expected(bits: int, *, signed: bool) -> np.ndarray:
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(bits).integers(low, low + (1 << bits), SHAPE)
    values[0, :2] = low, low + (1 << bits) - 1
    return values


def dicom(
    values: np.ndarray, layout: tuple[int, int, int], *, signed: bool, dirty: bool, **elements: object
) -> Dataset:
    allocated, bits, high = layout
    shift = high + 1 - bits
    kind = np.dtype(f"i{allocated // 8}" if signed else f"u{allocated // 8}")
    words = values.astype(np.int64)
    if dirty:
        unused = ((1 << allocated) - 1) ^ (((1 << bits) - 1) << shift)
        noise = np.random.default_rng(1).integers(0, 1 << allocated, SHAPE) & unused
        words = (words & ((1 << bits) - 1)) << shift | noise
    return image(words.astype(kind), BitsStored=bits, HighBit=high, **elements)


def saved(made: Dataset, syntax: str) -> bytes:
    if syntax == "big endian":
        return big_endian(made)
    if syntax in NATIVE:
        if syntax == "implicit":
            made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            made["PixelData"].VR = "OW"
        return written(made)
    return compressed(made, syntax)


def stored(data: bytes) -> np.ndarray:
    (values,) = decode_frames(dcmread(io.BytesIO(data)), [0])
    return values


@pytest.mark.parametrize(("syntax", "layout", "signed"), CASES)
def test_stored_values_are_equal_in_every_transfer_syntax(
    syntax: str, layout: tuple[int, int, int], *, signed: bool
) -> None:
    values = expected(layout[1], signed=signed)
    data = saved(dicom(values, layout, signed=signed, dirty=syntax in NATIVE), syntax)
    np.testing.assert_array_equal(stored(data), values)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_outside_the_stored_bits_is_recognised(syntax: str, padding: int) -> None:
    values = np.full(SHAPE, 100)
    values[1:] = 2096  # the stored bits of the padding value
    made = dicom(values, (16, 12, 11), signed=False, dirty=False)
    words = np.frombuffer(made.PixelData, np.uint16).reshape(SHAPE).copy()
    words[-1] = 63536
    made.PixelData = words.tobytes()
    found = dcmread(io.BytesIO(saved(made, syntax)))
    found.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    (decoded,) = decode_frames(found, [0])
    values[-1] = 100
    np.testing.assert_array_equal(grey_frame(decoded, found, 0, window=False), values)


def test_palette_indexes_lose_their_unused_bits_and_ignore_padding() -> None:
    values = expected(8, signed=False)
    made = dicom(values, (16, 8, 7), signed=False, dirty=True)
    made.PhotometricInterpretation = "PALETTE COLOR"
    made.add_new("PixelPaddingValue", "US", int(np.frombuffer(made.PixelData, np.uint16)[5]))
    np.testing.assert_array_equal(stored(written(made)), values)


@pytest.mark.parametrize("kind", [4, 2, 6])
def test_sixteen_bit_png_colours_keep_their_levels(kind: int) -> None:
    channels = {2: 3, 4: 2, 6: 4}[kind]
    grey = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    values = np.repeat(grey[..., None], channels, axis=2)
    if kind in {4, 6}:
        values[..., -1] = 65535
    pixels = decode_scan(png(values, kind), "x.png").pixels
    np.testing.assert_allclose(pixels, grey, atol=0.01)


def png(values: np.ndarray, kind: int) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


@pytest.mark.real
@pytest.mark.skipif(not OUTSIDERS.is_dir(), reason="the files of other programs are absent")
def test_files_of_other_programs_have_equal_pixels() -> None:
    dicoms = {path.stem: read_scan(path).pixels for path in (OUTSIDERS / "10-unused-bits").glob("*.dcm")}
    dicoms["j2k_signext"] = dicoms["j2k_signext"] + 2048  # the same picture, stored as signed values
    assert len(dicoms) == 5
    for name, pixels in dicoms.items():
        np.testing.assert_array_equal(pixels, dicoms["highbit15"], err_msg=name)
    pngs = {path.stem: read_scan(path).pixels for path in (OUTSIDERS / "09-png16-colour-cut").glob("*.png")}
    for one, other in (
        ("png16_rgb_10bit_(0..1023)", "png16_gray_10bit_(0..1023)"),
        ("png16_rgb_12bit_values", "png16_gray+alpha_12bit_values"),
    ):
        np.testing.assert_allclose(pngs[one], pngs[other], atol=0.01)
