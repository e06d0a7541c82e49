"""A volume becomes an answer: slice by slice, and then as a whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from brainslice.decision.verdict import Reason, Verdict
from brainslice.errors import UnreadableScanError
from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.inference.slice_pooling import slices_with_head, strongest_run
from brainslice.labels import LabelSet
from brainslice.scan.files import printable
from brainslice.scan.types import Volume
from brainslice.scan.volume.orientation import Plane

NOT_CALIBRATED: Final = "not calibrated: pooled from slice probabilities that were calibrated on single slices"
"""What is said of the probability of a volume, wherever it is shown."""

SINGLE_SLICES: Final = "the model was trained on single slices, mostly of T1 with contrast agent, chosen by people"
"""What is said of the model, wherever a volume is judged."""

_WORTH_TELLING: Final = 10.0


class NoteCode(StrEnum):
    """What may have to be said beside the answer to a volume, for doors that say it in words of their own."""

    UNCALIBRATED = "uncalibrated"
    SINGLE_SLICES = "single_slices"
    PLANE = "plane"
    TILT = "tilt"
    UNEVEN = "uneven"


@dataclass(frozen=True, slots=True)
class Note:
    """What must be said beside the answer to a volume.

    Attributes:
        code: What it is about.
        message: The same in words.
        value: What it tells besides: the plane, or the angle in whole degrees.
    """

    code: NoteCode
    message: str
    value: str | int | None = None

    def to_json(self) -> dict[str, Any]:
        """Tell it in plain types."""
        return {"code": self.code.value, "message": self.message, "value": self.value}


_UNCALIBRATED: Final = Note(NoteCode.UNCALIBRATED, NOT_CALIBRATED)


@dataclass(frozen=True, slots=True, eq=False)
class SlicePrediction:
    """One axial slice of a volume, and what was said about it.

    Attributes:
        number: Which slice, from 1, inferior to superior.
        prediction: The answer to it alone.
    """

    number: int
    prediction: Prediction


@dataclass(frozen=True, slots=True, eq=False)
class VolumePrediction:
    """The answer to one volume.

    Attributes:
        source: The name of the file or folder as it was given.
        digest: sha256 of what was read.
        total: How many axial slices the volume has.
        spacing: Millimetres from slice to slice, row to row and column to column.
        acquired: The plane the scanner took its slices in.
        slices: The slices that show a head, in their order; at least one.
        decisive: The first and last of the neighbouring slices whose mean is the answer, as places in ``slices``:
            from the first up to, and without, the second.
        notes: What must be said beside the answer.
    """

    source: str
    digest: str
    total: int
    spacing: tuple[float, float, float]
    acquired: Plane
    slices: tuple[SlicePrediction, ...]
    decisive: tuple[int, int]
    notes: tuple[Note, ...]

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return self.slices[0].prediction.labels

    @property
    def threshold(self) -> float:
        """The probability of any tumour from which a single slice is called one; used for the volume too."""
        return self.slices[0].prediction.threshold

    @property
    def curve(self) -> Float64[np.ndarray, "n k"]:
        """The calibrated probabilities of each judged slice, in the order of ``labels``."""
        return np.array([list(each.prediction.probabilities.values()) for each in self.slices], dtype=np.float64)

    @property
    def decisive_slices(self) -> tuple[SlicePrediction, ...]:
        """The neighbouring slices that the answer is the mean of."""
        return self.slices[slice(*self.decisive)]

    @property
    def probabilities(self) -> dict[str, float]:
        """Class name to pooled probability: the mean over the carrying slices."""
        means = self.curve[slice(*self.decisive)].mean(axis=0)
        return dict(zip(self.labels.names, means.tolist(), strict=True))

    @property
    def predicted_class(self) -> str | None:
        """The class with the highest pooled probability; None where the slices were rejected."""
        if any(reason.rejects_input for reason in self.reasons):
            return None
        shares = self.probabilities
        return max(shares, key=shares.__getitem__)

    @property
    def tumour_probability(self) -> float:
        """The pooled probability of any tumour; ``NOT_CALIBRATED`` says what it is worth."""
        return 1.0 - self.probabilities[self.labels.names[self.labels.healthy_index]]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why a person has to look: what refers more than half of the carrying slices, the commonest first."""
        referred = [
            each.prediction.reasons for each in self.decisive_slices if each.prediction.verdict is Verdict.REFER
        ]
        if 2 * len(referred) <= len(self.decisive_slices):
            return ()
        counts = Counter(reason for reasons in referred for reason in reasons)
        return tuple(reason for reason, _ in counts.most_common())

    @property
    def verdict(self) -> Verdict:
        """What is said in the end."""
        if self.reasons:
            return Verdict.REFER
        return Verdict.TUMOUR if self.tumour_probability >= self.threshold else Verdict.NO_TUMOUR

    def to_json(self) -> dict[str, Any]:
        """Tell the answer in plain types, with the curve and without any picture."""
        first = self.slices[0].prediction
        return {
            "source": self.source,
            "digest": self.digest,
            "verdict": self.verdict.value,
            "reasons": [{"code": reason.value, "message": reason.message} for reason in self.reasons],
            "class": self.predicted_class,
            "probabilities": self.probabilities,
            "tumour_probability": self.tumour_probability,
            "threshold": self.threshold,
            "calibration": NOT_CALIBRATED,
            "notes": [note.message for note in self.notes],
            "remarks": [note.to_json() for note in (_UNCALIBRATED, *self.notes)],
            "total_slices": self.total,
            "spacing_mm": list(self.spacing),
            "acquisition_plane": self.acquired.value,
            "decisive_slices": [each.number for each in self.decisive_slices],
            "curve": [
                {
                    "slice": each.number,
                    "probabilities": each.prediction.probabilities,
                    "verdict": each.prediction.verdict.value,
                }
                for each in self.slices
            ],
            "warnings": list(first.warnings),
            "bundle": first.bundle,
        }


def predict_volume(predictor: Predictor, volume: Volume, source: str = "volume") -> VolumePrediction:
    """Judge a volume slice by slice along the axial plane, and pool what the slices say.

    Slices without a head, and the ends of it, are left out. The answer is the mean over the neighbouring slices
    that speak most for a tumour; ``strongest_run`` says why.

    Args:
        predictor: What judges single slices.
        volume: The volume.
        source: What it is called in the answer.

    Returns:
        The answer, with the probabilities of each slice.

    Raises:
        UnreadableScanError: The volume cannot be cut into axial slices, or none of them shows a head.
        BundleError: The model gives no usable answer.
    """
    source = printable(source)
    wanted = slices_with_head(volume.voxels)
    if not wanted:
        msg = f"{source}: must show a head, got a volume of one grey; choose another series"
        raise UnreadableScanError(msg)
    try:
        seen = {index + 1: predictor.recipe(volume.axial_slice(index)) for index in wanted}
    except UnreadableScanError as error:
        msg = f"{source}: {error}"
        raise UnreadableScanError(msg) from error
    answers = predictor.answer([f"{source}, slice {number}" for number in seen], list(seen.values()))
    return VolumePrediction(
        source=source,
        digest=volume.digest,
        total=len(volume.voxels),
        spacing=volume.spacing,
        acquired=volume.acquisition_plane,
        slices=tuple(SlicePrediction(number, answer) for number, answer in zip(seen, answers, strict=True)),
        decisive=strongest_run(np.array([answer.tumour_probability for answer in answers])),
        notes=_notes(volume),
    )


def _notes(volume: Volume) -> tuple[Note, ...]:
    notes = [Note(NoteCode.SINGLE_SLICES, SINGLE_SLICES)]
    if volume.acquisition_plane is not Plane.AXIAL:
        plane = volume.acquisition_plane.value
        notes.append(Note(NoteCode.PLANE, f"the slices are {plane}; axial ones were cut from them", plane))
    if volume.tilt > _WORTH_TELLING:
        words = f"the slices lie {volume.tilt:.0f} degrees off the scanner's axial plane"
        notes.append(Note(NoteCode.TILT, words, round(volume.tilt)))
    if not volume.evenly_spaced:
        words = "the slices do not follow each other at one distance; some may be missing"
        notes.append(Note(NoteCode.UNEVEN, words))
    return tuple(notes)
