"""One study as a folder of files: its series are chosen, predicted, and answered with DICOM objects."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmread

from brainslice.dicom_export import read_source, write_volume_dicom
from brainslice.errors import UnreadableScanError
from brainslice.files import SCHEMA, atomic_file
from brainslice.inference import Predictor, predict_volume
from brainslice.scan import MAX_FILES, InputProblem, InputProblemError, read_volume

NOT_USABLE: Final = "not usable"
"""The mark of a study that is not answered."""

ANSWERED: Final = "answered"
"""The mark of a study whose objects are in the archive."""

_PROBLEMS: Final = {
    InputProblem.SEVERAL_SERIES: "has slices of several orientations or sizes",
    InputProblem.SEVERAL_VOLUMES: "has several images at one position (echoes, times or copies)",
    InputProblem.NO_SERIES: "has no three parallel slices with a position",
}

_COUNTS: Final = (
    "InstanceNumber",
    "NumberOfFrames",
    "ImageType",
    "ImagesInAcquisition",
    "NumberOfSeriesRelatedInstances",
)
_MIN_NUMBERED: Final = 3


class IncompleteSeriesError(UnreadableScanError):
    """Images of the series that would be answered are missing; no other series of its study is answered instead."""


def digest_of(uid: str) -> str:
    """Return the name under which a study, series or image appears in messages, logs and folders."""
    return hashlib.sha256(uid.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class StudyRules:
    """Which studies are answered.

    Attributes:
        description: Text that the description of the series must contain, in any case.
        report_rejected: Whether images unlike the training scans are answered with a referral, without a class.
    """

    description: str = ""
    report_rejected: bool = False


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """The answer to a study.

    Attributes:
        verdict: The verdict on the chosen series.
        slices: The number of its axial slices.
        objects: The DICOM files of the answer.
    """

    verdict: str
    slices: int
    objects: tuple[Path, ...]

    def __str__(self) -> str:
        """Describe the answer without patient data."""
        return f"{self.verdict} ({self.slices} axial slices, {len(self.objects)} objects)"


def save_image(folder: Path, series: str, instance: str, data: bytes) -> int:
    """Write one image of a study, in a folder for each series.

    Args:
        folder: The study's folder.
        series: The Series Instance UID.
        instance: The SOP Instance UID.
        data: The file, with its preamble.

    Returns:
        The number of bytes by which the folder grew; an image that is sent again replaces itself.
    """
    file = folder / digest_of(series) / f"{digest_of(instance)}.dcm"
    before = file.stat().st_size if file.exists() else 0
    with atomic_file(file) as temporary:
        temporary.write_bytes(data)
    return len(data) - before


def answer_study(predictor: Predictor, folder: Path, results: Path, rules: StudyRules) -> StudyAnswer:
    """Predict the first usable series of a study, those with contrast agent and many images first.

    Args:
        predictor: The predictor.
        folder: The study's folder, with a folder for each series.
        results: The folder for the DICOM files of the answer.
        rules: Which studies are answered.

    Raises:
        IncompleteSeriesError: Images of this series are missing.
        UnreadableScanError: No series is usable; the message states why for each.
    """
    problems: list[str] = []
    for series in _ranked(folder, rules.description, problems):
        try:
            return _answer_series(predictor, series, results, rules)
        except IncompleteSeriesError:
            raise
        except UnreadableScanError as error:
            problems.append(f"series {series.name}: {_reason(error).removeprefix(f'{series}: ')}")
    nothing = "no MR series fits the description" if rules.description else "no MR series"
    raise UnreadableScanError("; ".join(problems) or nothing)


def _ranked(folder: Path, description: str, problems: list[str]) -> list[Path]:
    found = []
    for series in sorted(each for each in folder.iterdir() if each.is_dir()):
        names = sorted(series.glob("*.dcm"))[: MAX_FILES + 1]
        if not names or len(names) > MAX_FILES:
            continue
        try:
            source = read_source(names[0], 1)
        except UnreadableScanError as error:
            problems.append(f"series {series.name}: {error}")
            continue
        if source is None or source.dataset.get("Modality") != "MR":
            continue
        if description.casefold() in str(source.dataset.get("SeriesDescription", "")).casefold():
            contrast = bool(source.dataset.get("ContrastBolusAgent"))
            found.append((contrast, len(names) * int(source.dataset.get("NumberOfFrames") or 1), series))
    return [series for _, _, series in sorted(found, reverse=True)]


def _reason(error: UnreadableScanError) -> str:
    """Describe a problem without the remedies of the command line."""
    problem = next((each for each in (error, error.__cause__) if isinstance(each, InputProblemError)), None)
    return str(error) if problem is None else _PROBLEMS.get(problem.code, problem.fault)


def _answer_series(predictor: Predictor, series: Path, results: Path, rules: StudyRules) -> StudyAnswer:
    volume = read_volume(series)
    if lost := _missing_images(series):
        msg = f"series {series.name}: incomplete: {lost}; send the study again"
        raise IncompleteSeriesError(msg)
    if not volume.evenly_spaced:
        msg = "slices are missing or unevenly spaced; send the whole series"
        raise UnreadableScanError(msg)
    answer = predict_volume(predictor, volume, series.name)
    if answer.predicted_class is None and not rules.report_rejected:
        reasons = ", ".join(reason.message for reason in answer.reasons if reason.rejects_input)
        msg = f"shows no head that the model can predict: {reasons}"
        raise UnreadableScanError(msg)
    objects = write_volume_dicom(predictor, series, volume, answer, results / "brainslice")
    return StudyAnswer(answer.verdict.value, len(volume.voxels), objects)


def _missing_images(series: Path) -> str:
    """Describe the images that a series lacks by what its images state; empty if they do not tell.

    Only some devices state the number of images (ImagesInAcquisition, NumberOfSeriesRelatedInstances). InstanceNumber
    tells of images lost between others: the steps of a whole series are equal, and larger than 1 where echoes or times
    were sorted into series of their own.

    Args:
        series: A folder with the DICOM files of one series.
    """
    images = [dcmread(each, stop_before_pixels=True, specific_tags=list(_COUNTS)) for each in series.glob("*.dcm")]
    frames = sum(max(1, _whole_number(image, "NumberOfFrames")) for image in images)
    # Derived images repeat the number of those that they were made of.
    acquired = [image for image in images if "DERIVED" not in (image.get("ImageType") or ())]
    for count, name, stating in (
        (len(images), "NumberOfSeriesRelatedInstances", images),
        (frames, "ImagesInAcquisition", acquired),
    ):
        whole = max((_whole_number(image, name) for image in stating), default=0)
        if count < whole:
            return f"{count} images of {whole} came"
    numbers = sorted({_whole_number(image, "InstanceNumber") for image in images})
    steps = np.diff(numbers)
    if len(numbers) < max(len(images), _MIN_NUMBERED) or steps.max() <= np.median(steps):
        return ""
    before = int(steps.argmax())
    return f"no image came between the numbers {numbers[before]} and {numbers[before + 1]}"


def _whole_number(image: Dataset, name: str) -> int:
    """Read a whole number; 0 where it is absent or invalid."""
    with suppress(ValueError, TypeError):
        return int(image.get(name) or 0)
    return 0


class EventLog:
    """Events as JSON lines, each on the disk before the next step; a line that a crash tore is skipped."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made with the first event."""
        self._path = path

    def write(self, event: str, **details: str) -> None:
        """Add an event with the time."""
        time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        line = json.dumps({"schema": SCHEMA.format("pacs-event"), "time": time, "event": event, **details})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as stream:
            torn = stream.tell() and not self._ends_with_newline()
            stream.write(f"{chr(10) if torn else ''}{line}\n".encode())
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the events in order."""
        if not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def _ends_with_newline(self) -> bool:
        with self._path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
