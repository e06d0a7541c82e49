"""The source images of a prediction: their DICOM attributes and positions, and the objects derived from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset, dcmread
from pydicom.uid import UID

import brainslice
from brainslice.bundle import BundleInfo
from brainslice.dicom_export.codes import CHARACTERS, MANUFACTURER, SERIES, SERIES_NUMBERS, coding_scheme, make_uid
from brainslice.errors import UnreadableScanError
from brainslice.inference import Predictor
from brainslice.scan import as_unreadable, functional_group, is_dicom

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


@dataclass(frozen=True, slots=True, eq=False)
class ExportContext:
    """The images and the model of one prediction, from which its objects take their UIDs.

    Attributes:
        sources: The predicted images of one series, at least one.
        info: The bundle's description.
        settings: What else the prediction depends on: threshold and engine.
    """

    sources: tuple[SourceImage, ...]
    info: BundleInfo
    settings: tuple[str, ...]

    @classmethod
    def of(cls, predictor: Predictor, *sources: SourceImage) -> ExportContext:
        """Describe a prediction of a predictor."""
        settings = (f"{predictor.threshold!r}", type(predictor.engine).__name__, brainslice.__version__)
        return cls(sources, predictor.bundle.info, settings)

    @property
    def datasets(self) -> list[Dataset]:
        """The attributes of each source file, once."""
        return list({str(each.dataset.SOPInstanceUID): each.dataset for each in self.sources}.values())

    def uid(self, kind: str, part: str) -> UID:
        """Derive a UID from images, model and settings: the same prediction gives the same objects."""
        images = (f"{each.dataset.SOPInstanceUID} {each.frame or ''}" for each in self.sources)
        return make_uid(kind, part, self.info.digest, *self.settings, *images)

    def attributes(self, kind: str) -> dict[str, Any]:
        """Return what the objects of one kind have in common; those of one study and model share a series."""
        first = self.sources[0]
        # All images of a series must share a frame of reference.
        space = str(first.dataset.get("FrameOfReferenceUID", "")) if kind == "map" else ""
        single = first.frame or first.dataset.get("InstanceNumber")
        number = single if len(self.sources) == 1 else first.dataset.get("SeriesNumber")
        return {
            "series_instance_uid": series_uid(str(first.dataset.StudyInstanceUID), kind, self.info.digest, space),
            "series_number": SERIES_NUMBERS[kind],
            "sop_instance_uid": self.uid(kind, "instance"),
            "instance_number": int(number or 1),
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": self.info.name[:64],
            "software_versions": brainslice.__version__,
            "device_serial_number": self.info.digest,
            "series_description": SERIES,
            "coding_schemes": [coding_scheme()],
            "specific_character_set": CHARACTERS,
        }


def series_uid(study: str, kind: str, digest: str, space: str = "") -> UID:
    """Derive the UID of the series that holds a study's objects of one kind.

    Args:
        study: The Study Instance UID.
        kind: A key of ``SERIES_NUMBERS``.
        digest: The bundle's digest.
        space: The Frame of Reference UID of maps.
    """
    return make_uid(kind, "series", study, digest, space)


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
