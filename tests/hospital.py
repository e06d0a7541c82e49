"""Synthetic DICOM files in every compression, series, NIfTI files, and a lossless JPEG encoder."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image
from nibabel.nifti2 import Nifti2Image
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

PATIENT = "Doe^Jane"
"""A patient's name, which no value, message or report may contain."""

SERIES = "1.2.826.0.1.3680043.8.498.1"
STUDY = f"{SERIES}.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
COMPRESSED = (RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1)


def image(pixels: np.ndarray, **elements: object) -> Dataset:
    """Make an MR image with patient data, of one or several frames, grey or RGB."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = MRImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = SERIES + ".2"
    made.SeriesInstanceUID = SERIES
    made.PatientName, made.PatientID, made.PatientBirthDate = PATIENT, "4711", "19700101"
    made.Modality = "MR"
    coloured = pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.ndim == 3 and not coloured:
        made.NumberOfFrames = len(pixels)
    made.Rows, made.Columns = pixels.shape[:2] if coloured else pixels.shape[-2:]
    made.SamplesPerPixel = 3 if coloured else 1
    made.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
    if coloured:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in elements.items():
        setattr(made, name, value)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def written(made: Dataset) -> bytes:
    """Return the bytes of a DICOM file."""
    buffer = io.BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def compressed(made: Dataset, syntax: str) -> bytes:
    """Return the bytes of a DICOM file with compressed pixel data."""
    if syntax == JPEGLosslessSV1:
        shape = (-1, int(made.Rows), int(made.Columns))
        frames = np.frombuffer(made.PixelData, np.uint16).reshape(shape)
        made.PixelData = encapsulate([lossless_jpeg(frame) for frame in frames])
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
        made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        return written(made)
    made.compress(syntax, generate_instance_uid=False)
    return written(made)


def big_endian(made: Dataset) -> bytes:
    """Return the bytes of a big-endian DICOM file."""
    pixels = np.frombuffer(made.PixelData, f"<u{made.BitsAllocated // 8}")
    made.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, made, implicit_vr=False, little_endian=False, enforce_file_format=True)
    return buffer.getvalue()


def slice_at(pixels: np.ndarray, height: float, directions: Sequence[float] = AXIAL, **elements: object) -> bytes:
    """Return a slice of a series at a position in mm along its normal."""
    corner = (np.cross(directions[:3], directions[3:]) * height).tolist()
    placed = {"ImagePositionPatient": corner, "ImageOrientationPatient": list(directions), "PixelSpacing": [1.0, 1.0]}
    return written(image(pixels, **(placed | elements)))


def write_series(folder: Path, stack: np.ndarray, step: float = 2.0, **elements: object) -> Path:
    """Write a series whose file names do not tell the order of slices."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(3).permutation(len(stack))
    for number, (name, pixels) in enumerate(zip(names, stack, strict=True)):
        uid = f"{elements.get('SeriesInstanceUID', SERIES)}.2.{number + 1}"
        data = slice_at(pixels, number * step, **({"SOPInstanceUID": uid} | elements))
        (folder / f"IM{name:04d}").write_bytes(data)
    return folder


def nifti(voxels: np.ndarray, affine: np.ndarray | None = None, *, second: bool = False) -> bytes:
    """Return the bytes of a NIfTI file with a name in its description."""
    made = (Nifti2Image if second else Nifti1Image)(voxels, np.eye(4) if affine is None else affine)
    made.header["descrip"] = PATIENT.encode()
    data = made.to_bytes()
    return bytes(data)


def head(slices: int = 24, side: int = 48) -> np.ndarray:
    """Draw a stack of discs on black, largest in the middle, with a brightness for each slice."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    radii = side / 2.2 * np.sqrt(1 - (np.linspace(-1, 1, slices)) ** 2)
    return np.stack(
        [((rows**2 + columns**2 < radius**2) * (200 + number)).astype(np.uint16) for number, radius in enumerate(radii)]
    )


def axial_images(series: str, stack: np.ndarray | None = None, **elements: object) -> list[tuple[str, bytes]]:
    """SOP Instance UID and bytes of each image of a series of a drawn head."""
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": series, "FrameOfReferenceUID": f"{SERIES}.3"}
    return [
        (uid := f"{series}.{number + 1}", slice_at(pixels, 2.0 * number, **(uids | elements | {"SOPInstanceUID": uid})))
        for number, pixels in enumerate(head(8) if stack is None else stack)
    ]


def lossless_jpeg(pixels: np.ndarray, predictor: int = 1, precision: int = 16, restart_rows: int = 0) -> bytes:
    """Encode with JPEG process 14, with codes of five bits for the size of each difference."""
    rows, columns = pixels.shape
    stripe = restart_rows or rows
    parts = [
        _bits(_differences(pixels[top : top + stripe].astype(int), predictor, precision))
        for top in range(0, rows, stripe)
    ]
    counts = bytes([0, 0, 0, 0, 17, *[0] * 11])
    segments = [
        (0xC3, struct.pack(">BHHBBBB", precision, rows, columns, 1, 1, 0x11, 0)),
        (0xC4, b"\0" + counts + bytes(range(17))),
        *([(0xDD, struct.pack(">H", restart_rows * columns))] if restart_rows else []),
        (0xDA, bytes([1, 1, 0, predictor, 0, 0])),
    ]
    opening = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    body = b"".join(part + bytes([0xFF, 0xD0 + number % 8]) for number, part in enumerate(parts[:-1])) + parts[-1]
    return b"\xff\xd8" + opening + body + b"\xff\xd9"


def _differences(pixels: np.ndarray, predictor: int, precision: int) -> list[int]:
    found = []
    for (row, column), value in np.ndenumerate(pixels):
        left = pixels[row, column - 1] if column else 0
        above = pixels[row - 1, column] if row else 0
        corner = pixels[row - 1, column - 1] if row and column else 0
        if not row and not column:
            guess = 1 << (precision - 1)
        elif not row or not column:
            guess = left if not row else above
        else:
            guess = (
                *(left, above, corner, left + above - corner),
                *(left + ((above - corner) >> 1), above + ((left - corner) >> 1), (left + above) >> 1),
            )[predictor - 1]
        found.append(int((value - guess + 32767) % 65536 - 32767))
    return found


def _bits(differences: list[int]) -> bytes:
    written_bits = []
    for difference in differences:
        size = abs(difference).bit_length()
        written_bits.append(f"{size:05b}")
        if 0 < size < 16:
            written_bits.append(f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}")
    joined = "".join(written_bits)
    joined += "1" * (-len(joined) % 8)
    data = int(joined, 2).to_bytes(len(joined) // 8, "big")
    return data.replace(b"\xff", b"\xff\x00")
