"""The source image of a prediction: its DICOM attributes and position."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread

from brainslice.errors import UnreadableScanError
from brainslice.scan.detect import is_dicom
from brainslice.scan.dicom.intensity import functional_group
from brainslice.scan.error_boundary import as_unreadable

_IDENTITY: Final = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
# Type 2 attributes, which must be present but may be empty; old files lack some.
_MAY_BE_EMPTY: Final = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
_DEFAULT_THICKNESS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """The position of an image in its frame of reference.

    Attributes:
        position: The centre of its first pixel, in mm.
        orientation: The directions of its rows and columns.
        spacing: Distance of rows and of columns, in mm.
        thickness: In mm.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """A predicted DICOM image.

    Attributes:
        dataset: Its attributes without pixel data; excluded from the repr because they identify the patient.
        frame: The frame number, from 1; None for a single-frame file.
    """

    dataset: Dataset = field(repr=False)
    frame: int | None = None

    @property
    def image_plane(self) -> ImagePlane | None:
        """The position of the image; None if the file lacks it."""
        if not self.dataset.get("FrameOfReferenceUID"):
            return None
        measures, plane, origin = (
            functional_group(self.dataset, (self.frame or 1) - 1, f"{name}Sequence")
            for name in ("PixelMeasures", "PlaneOrientation", "PlanePosition")
        )
        position = _numbers(origin, "ImagePositionPatient", 3)
        orientation = _numbers(plane, "ImageOrientationPatient", 6)
        spacing = _numbers(measures, "PixelSpacing", 2)
        if not (position and orientation and spacing and min(spacing) > 0):
            return None
        return ImagePlane(position, orientation, spacing, float(measures.get("SliceThickness") or _DEFAULT_THICKNESS))


def read_source(path: Path, frame: int | None = None) -> SourceImage | None:
    """Read the attributes of a source image.

    Returns:
        The source; None if the file is no DICOM file.

    Raises:
        UnreadableScanError: The file cannot be read, or lacks a UID of its study, series or instance.
    """
    with as_unreadable("the DICOM file"):
        if path.is_file() and not is_dicom(path):
            return None
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        missing = [name for name in _IDENTITY if not dataset.get(name)]
        if missing:
            msg = f"must have {', '.join(_IDENTITY)} for a report in its study, got no {missing[0]}; export it again"
            raise UnreadableScanError(msg)
        # Text is decoded because the objects are written in UTF-8.
        dataset.decode()
        for name in _MAY_BE_EMPTY:
            if name not in dataset:
                setattr(dataset, name, "")
    return SourceImage(dataset, frame if int(dataset.get("NumberOfFrames") or 1) > 1 else None)


def _numbers(group: Dataset, name: str, count: int) -> tuple[float, ...]:
    values = tuple(float(value) for value in group.get(name) or ())
    return values if len(values) == count and all(map(math.isfinite, values)) else ()
