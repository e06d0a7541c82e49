"""The DICOM file a prediction is about, as far as the objects beside it in its study need it."""

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
# A study has these, even if nobody filled them in; old files leave some out.
_MAY_BE_EMPTY: Final = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
_ONE_MILLIMETRE: Final = 1.0


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """Where a picture lies in its frame of reference.

    Attributes:
        position: The centre of its first pixel, in mm.
        orientation: The directions of its rows and columns.
        spacing: From row to row and from column to column, in mm.
        thickness: In mm.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """A DICOM picture that was predicted.

    Attributes:
        dataset: Its elements without the pixels. They name the patient: they are never shown, and so is this field.
        frame: Which of several pictures it is, from 1; None where the file holds one.
    """

    dataset: Dataset = field(repr=False)
    frame: int | None = None

    @property
    def image_plane(self) -> ImagePlane | None:
        """Where the picture lies; None where the file does not tell."""
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
        return ImagePlane(position, orientation, spacing, float(measures.get("SliceThickness") or _ONE_MILLIMETRE))


def read_source(path: Path, frame: int | None = None) -> SourceImage | None:
    """Read what the objects beside a picture need of it.

    Args:
        path: The file that was predicted.
        frame: Which of several pictures in it, from 1.

    Returns:
        The source; None where the file is no DICOM file.

    Raises:
        UnreadableScanError: The file cannot be read, or does not say which picture of which study it is.
    """
    with as_unreadable("the DICOM file"):
        if path.is_file() and not is_dicom(path):
            return None
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        missing = [name for name in _IDENTITY if not dataset.get(name)]
        if missing:
            msg = f"must have {', '.join(_IDENTITY)} for a report in its study, got no {missing[0]}; export it again"
            raise UnreadableScanError(msg)
        # The objects are written in UTF-8, so text must be known as text first.
        dataset.decode()
        for name in _MAY_BE_EMPTY:
            if name not in dataset:
                setattr(dataset, name, "")
    return SourceImage(dataset, frame if int(dataset.get("NumberOfFrames") or 1) > 1 else None)


def _numbers(group: Dataset, name: str, count: int) -> tuple[float, ...]:
    found = tuple(float(value) for value in group.get(name) or ())
    return found if len(found) == count and all(map(math.isfinite, found)) else ()
