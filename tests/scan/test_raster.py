from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.scan.raster import read_raster
from brainslice.scan.types import MAX_PIXELS

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def encoded(image: Image.Image, encoding: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, encoding, **options)
    return buffer.getvalue()


def read(data: bytes) -> np.ndarray:
    return read_raster(data, "digest").pixels


def png_header(columns: int, rows: int) -> bytes:
    """The head of a PNG that claims a size, with a kilobyte of data at most."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("encoding", ["PNG", "TIFF", "BMP", "GIF"])
def test_lossless_formats_give_back_every_grey_value(encoding: str) -> None:
    np.testing.assert_array_equal(read(encoded(Image.fromarray(GREY), encoding)), GREY)


def test_webp_without_loss_gives_back_every_grey_value() -> None:
    data = encoded(Image.fromarray(GREY).convert("RGB"), "WEBP", lossless=True)
    np.testing.assert_array_equal(read(data), GREY)


def test_jpeg_gives_back_a_smooth_picture_nearly() -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    assert np.abs(read(encoded(Image.fromarray(ramp), "JPEG", quality=95)) - ramp).max() <= 4


@given(arrays(np.uint8, (5, 7)))
def test_every_colour_mode_of_a_grey_picture_gives_the_same_slice(grey: np.ndarray) -> None:
    picture = Image.fromarray(grey)
    for mode in ("RGB", "RGBA", "LA"):
        np.testing.assert_array_equal(read(encoded(picture.convert(mode))), grey)
    np.testing.assert_array_equal(read(encoded(picture.convert("P"))), grey)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_colours_become_grey_by_their_luminance(colour: tuple[int, int, int]) -> None:
    red, green, blue = colour
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    assert read(encoded(Image.new("RGB", (2, 2), colour))) == pytest.approx(expected, abs=1.0)


def test_transparent_parts_lie_over_black() -> None:
    layers = Image.new("RGBA", (3, 1))
    layers.putdata([(255, 255, 255, 255), (255, 255, 255, 0), (200, 200, 200, 128)])
    np.testing.assert_allclose(read(encoded(layers)), [[255, 0, 100]], atol=1)


def test_a_transparent_palette_entry_is_black() -> None:
    picture = Image.fromarray(GREY).convert("P")
    picture.info["transparency"] = 0
    picture.putpalette([255] * 3 + [value for value in range(1, 256) for _ in range(3)])
    assert read(encoded(picture, transparency=0))[0, 0] == 0


@pytest.mark.parametrize(
    ("dtype", "encoding"),
    [(np.uint16, "PNG"), (np.uint16, "TIFF"), (np.int32, "TIFF"), (np.float32, "TIFF")],
)
def test_images_of_16_and_32_bits_keep_their_values(dtype: type, encoding: str) -> None:
    deep = (np.arange(12, dtype=dtype) * 4000).reshape(3, 4)
    np.testing.assert_array_equal(read(encoded(Image.fromarray(deep), encoding)), deep)


def test_black_and_white_is_0_and_255() -> None:
    np.testing.assert_array_equal(read(encoded(Image.fromarray(GREY > 100))), (GREY > 100) * 255)


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_rotated_by_their_exif_orientation(encoding: str, orientation: int) -> None:
    upright = np.kron(np.array([[250, 10, 130], [60, 200, 90]], dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))
    # What a camera held in this way stores: the inverse of what the orientation asks for.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = read(encoded(Image.fromarray(np.ascontiguousarray(stored)), encoding, exif=exif))
    assert seen.shape == upright.shape
    np.testing.assert_allclose(seen[8::16, 8::16], upright[8::16, 8::16], atol=6)


def test_damaged_exif_data_are_ignored() -> None:
    data = encoded(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read(data).shape == GREY.shape


def test_one_of_several_frames_or_pages_must_be_chosen() -> None:
    frames = [Image.fromarray(np.full((3, 4), value, dtype=np.uint8)) for value in (50, 90)]
    for encoding in ("GIF", "TIFF", "PNG"):
        data = encoded(frames[0], encoding, save_all=True, append_images=frames[1:])
        with pytest.raises(UnreadableScanError, match="holds 2 frames or pages"):
            read(data)
        for number, value in ((1, 50), (2, 90)):
            assert (read_raster(data, "digest", number).pixels == value).all()


def test_the_preview_in_a_photograph_is_no_frame() -> None:
    smooth = [Image.fromarray(np.full((16, 16), value, dtype=np.uint8)) for value in (50, 90)]
    data = encoded(smooth[0], "MPO", save_all=True, append_images=smooth[1:])
    assert read(data) == pytest.approx(50, abs=2)


@pytest.mark.parametrize(("columns", "rows"), [(13_000, 13_000), (100_000, 100_000), (70_000, 10), (8_001, 8_000)])
def test_images_that_are_too_large_are_refused_by_their_header(columns: int, rows: int) -> None:
    with pytest.raises(UnreadableScanError, match=f"at most {MAX_PIXELS:,} pixels") as caught:
        read(png_header(columns, rows))
    assert "scale it down" in str(caught.value)


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_a_file_cut_short_is_refused_in_one_line(encoding: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), encoding)
    with pytest.raises(UnreadableScanError, match="damaged or cut short") as caught:
        read(data[: len(data) // 2])
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=64), st.integers(0, 5))
def test_random_bytes_raise_unreadable_scan_error_only(noise: bytes, opening: int) -> None:
    start = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0", b"BM", b"GIF89a")[opening]
    with pytest.raises(UnreadableScanError):
        read(start + noise)


@given(st.integers(0, 2**32))
def test_a_flipped_bit_gives_a_slice_or_unreadable_scan_error(where: int) -> None:
    data = bytearray(encoded(Image.fromarray(GREY).convert("P")))
    data[where % len(data)] ^= 1 << (where % 8)
    try:
        seen = read(bytes(data))
    except UnreadableScanError as error:
        seen = np.zeros(1)
        message = str(error)
    else:
        message = ""
    assert np.isfinite(seen).all()
    assert "\n" not in message


def test_other_formats_of_pillow_are_refused() -> None:
    with pytest.raises(UnreadableScanError, match=r"must be a picture .*, DICOM or NIfTI, got"):
        read(encoded(Image.fromarray(GREY), "PPM"))


def test_a_picture_of_nan_is_refused() -> None:
    deep = np.full((3, 4), np.nan, dtype=np.float32)
    with pytest.raises(UnreadableScanError, match="finite"):
        read(encoded(Image.fromarray(deep), "TIFF"))


def test_threads_that_decode_leave_the_warning_filters_as_they_were() -> None:
    data = encoded(Image.fromarray(GREY))
    before = list(warnings.filters)
    gate = threading.Barrier(4)

    def decode(_: int) -> None:
        gate.wait()
        for _ in range(50):
            read(data)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode, range(4)))
    assert list(warnings.filters) == before


def white_is_zero(grey: np.ndarray) -> bytes:
    """A TIFF that says its smallest value is white."""
    data = bytearray(encoded(Image.fromarray(grey), "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    (entry,) = (at for at in range(start + 2, start + 2 + 12 * count, 12) if data[at : at + 2] == b"\x06\x01")
    struct.pack_into("<H", data, entry + 8, 0)
    return bytes(data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_zero_is_white_is_inverted(dtype: type) -> None:
    grey = (np.arange(12, dtype=dtype) * 20).reshape(3, 4)
    shown = read(white_is_zero(grey))
    np.testing.assert_array_equal(shown - shown.min(), grey.max() - grey)


def test_a_later_page_may_be_no_larger_than_the_first() -> None:
    large = Image.new("L", (8_001, 8_000))
    data = encoded(Image.fromarray(GREY), "TIFF", compression="tiff_deflate", save_all=True, append_images=[large])
    with pytest.raises(UnreadableScanError, match=f"at most {MAX_PIXELS:,} pixels.* got 8,000 x 8,001"):
        read_raster(data, "digest", 2)


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "no header that is known"),
        (b"\xff\xd8\xff\xe0", "no header that is known"),
        (b"II*\0\x08\0\0\0", "the TIFF is damaged, or its numbers"),
    ],
)
def test_the_refusal_of_an_unidentified_file_has_no_memory_address(opening: bytes, reason: str) -> None:
    with pytest.raises(UnreadableScanError, match=rf"{reason}[^<>]*; export it"):
        read(opening + bytes(16))


def test_running_out_of_memory_is_not_reported_as_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise MemoryError

    data = encoded(Image.fromarray(GREY), "BMP")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fill)
    with pytest.raises(UnreadableScanError, match="needs more memory than there is"):
        read(data)


def tiff(values: np.ndarray, sample_format: int) -> bytes:
    """An uncompressed TIFF of one strip, with little-endian numbers."""
    rows, columns = values.shape
    body = values.tobytes()
    entries = {
        256: columns, 257: rows, 258: 8 * values.itemsize, 259: 1, 262: 1, 273: 8, 277: 1, 278: rows, 279: len(body),
        339: sample_format,
    }  # fmt: skip
    table = b"".join(
        struct.pack("<HHII", tag, 4 if tag in {256, 257, 273, 278, 279} else 3, 1, value)
        for tag, value in entries.items()
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + struct.pack("<H", len(entries)) + table + bytes(4)


@pytest.mark.parametrize(
    ("kind", "sample_format"), [("<f8", 3), ("<f4", 3), ("i1", 2), ("u1", 1), ("<u2", 1), ("<i2", 2)]
)
def test_every_number_of_a_tiff_keeps_its_value(kind: str, sample_format: int) -> None:
    values = np.arange(0 if kind[-2] == "u" else -12, 12).reshape(-1, 4).astype(kind) * 10
    np.testing.assert_array_equal(read(tiff(values, sample_format)), values)


def test_the_refusal_of_a_tiff_of_an_unknown_number_type_names_the_type() -> None:
    with pytest.raises(UnreadableScanError, match="numbers are of a kind not read here; export it with 8, 16 or 32"):
        read(tiff(np.zeros((3, 4), "<i8"), 2))
