"""Predict volumes: slice by slice, pooled to one prediction."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from brainslice.array_types import Float64
from brainslice.arrays import NetworkInput, Scores, Voxels
from brainslice.deadline import check_deadline
from brainslice.decision import Reason, Verdict
from brainslice.errors import UnreadableScanError, UsageError
from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.preprocessing import percentiles
from brainslice.scan import Plane, Remark, RemarkCode, Volume, printable

NOT_CALIBRATED: Final = "not calibrated: pooled from slice probabilities that were calibrated on single slices"
"""The note on the probability of a volume."""

SINGLE_SLICES: Final = "the model was trained on single slices, mostly of T1 with contrast agent, chosen by people"
"""The note on the model in every volume prediction."""

_MIN_NOTED_TILT: Final = 10.0
_RUN_SHARE: Final = 0.1
_MIN_RUN: Final = 3
# The grey value of head tissue, between the 1st and the 99th percentile of the volume.
_HEAD_LEVEL: Final = 1 / 8
# A slice with less than this share of the largest slice's head area is an end of the head, or empty.
_MIN_HEAD_SHARE: Final = 1 / 4
_PERCENTILE_VOXELS: Final = 1 << 18


_UNCALIBRATED: Final = Remark(RemarkCode.UNCALIBRATED, NOT_CALIBRATED)


@dataclass(frozen=True, slots=True, eq=False)
class SlicePrediction:
    """The prediction of one axial slice.

    Attributes:
        number: From 1, inferior to superior.
        prediction: The prediction of the slice.
    """

    number: int
    prediction: Prediction


@dataclass(frozen=True, slots=True, eq=False)
class VolumePrediction:
    """The prediction of one volume.

    Attributes:
        source: The name of the file or folder.
        digest: sha256 of the files read.
        total: The number of axial slices.
        spacing: Distance of slices, rows and columns in mm.
        acquired: The acquisition plane.
        slices: The slices that show a head, in order; at least one.
        decisive: Start and stop index in ``slices`` of the neighbouring slices whose mean is the prediction.
        notes: Notes on volume and prediction.
    """

    source: str
    digest: str
    total: int
    spacing: tuple[float, float, float]
    acquired: Plane
    slices: tuple[SlicePrediction, ...]
    decisive: tuple[int, int]
    notes: tuple[Remark, ...]

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return self.slices[0].prediction.labels

    @property
    def threshold(self) -> float:
        """P(tumour) from which a slice, and the volume, is predicted as a tumour."""
        return self.slices[0].prediction.threshold

    @property
    def curve(self) -> Float64[np.ndarray, "n k"]:
        """The calibrated probabilities of each slice, in the order of ``labels``."""
        return np.array([list(each.prediction.probabilities.values()) for each in self.slices], dtype=np.float64)

    @property
    def decisive_slices(self) -> tuple[SlicePrediction, ...]:
        """The neighbouring slices whose mean is the prediction."""
        return self.slices[slice(*self.decisive)]

    @property
    def probabilities(self) -> dict[str, float]:
        """The mean probability of each class over the decisive slices."""
        means = self.curve[slice(*self.decisive)].mean(axis=0)
        return dict(zip(self.labels.names, means.tolist(), strict=True))

    @property
    def predicted_class(self) -> str | None:
        """The class of highest pooled probability; None if the slices were rejected."""
        if any(reason.rejects_input for reason in self.reasons):
            return None
        probabilities = self.probabilities
        return max(probabilities, key=probabilities.__getitem__)

    @property
    def tumour_probability(self) -> float:
        """The pooled P(tumour), which is not calibrated."""
        return 1.0 - self.probabilities[self.labels.names[self.labels.healthy_index]]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons if more than half of the decisive slices are referred, the most frequent first."""
        referred = [
            each.prediction.reasons for each in self.decisive_slices if each.prediction.verdict is Verdict.REFER
        ]
        if 2 * len(referred) <= len(self.decisive_slices):
            return ()
        counts = Counter(reason for reasons in referred for reason in reasons)
        return tuple(reason for reason, _ in counts.most_common())

    @property
    def verdict(self) -> Verdict:
        """The verdict on the volume."""
        if self.reasons:
            return Verdict.REFER
        return Verdict.TUMOUR if self.tumour_probability >= self.threshold else Verdict.NO_TUMOUR

    def to_json(self) -> dict[str, Any]:
        """Return the prediction as plain types, with the curve and without images."""
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
    """Predict the axial slices that show a head, and pool them with ``strongest_run``.

    Raises:
        UnreadableScanError: The volume cannot be resampled to axial slices, none of them shows a head, or no class of
            the model is healthy.
        BundleError: The model's outputs are not finite.
        TimeLimitError: The deadline of the context has passed.
    """
    source = printable(source)
    if predictor.bundle.labels.healthy is None:
        names = ", ".join(predictor.bundle.labels.names)
        msg = f"{source}: volumes are pooled by P(tumour), and none of the model's classes ({names}) is healthy; "
        msg += "predict single slices with `brainslice predict --frame N`"
        raise UnreadableScanError(msg)
    indices = slices_with_head(volume.voxels)
    if not indices:
        msg = f"{source}: must show a head, got a volume of one grey; choose another series"
        raise UnreadableScanError(msg)
    try:
        inputs = {index + 1: _prepared(predictor, volume, index) for index in indices}
    except UnreadableScanError as error:
        msg = f"{source}: {error}"
        raise UnreadableScanError(msg) from error
    predictions = predictor.predict_inputs([f"{source}, slice {number}" for number in inputs], list(inputs.values()))
    return VolumePrediction(
        source=source,
        digest=volume.digest,
        total=len(volume.voxels),
        spacing=volume.spacing,
        acquired=volume.acquisition_plane,
        slices=tuple(SlicePrediction(number, each) for number, each in zip(inputs, predictions, strict=True)),
        decisive=strongest_run(np.array([each.tumour_probability for each in predictions])),
        notes=_notes(volume),
    )


def _prepared(predictor: Predictor, volume: Volume, index: int) -> NetworkInput:
    check_deadline()
    return predictor.recipe(volume.axial_slice(index))


def _notes(volume: Volume) -> tuple[Remark, ...]:
    notes = [Remark(RemarkCode.SINGLE_SLICES, SINGLE_SLICES)]
    if volume.acquisition_plane is not Plane.AXIAL:
        plane = volume.acquisition_plane.value
        notes.append(Remark(RemarkCode.PLANE, f"the slices are {plane}; axial ones were cut from them", plane))
    if volume.tilt > _MIN_NOTED_TILT:
        message = f"the slices lie {volume.tilt:.0f} degrees off the scanner's axial plane"
        notes.append(Remark(RemarkCode.TILT, message, round(volume.tilt)))
    if not volume.evenly_spaced:
        message = "the slices do not follow each other at one distance; some may be missing"
        notes.append(Remark(RemarkCode.UNEVEN, message))
    return (*notes, *volume.remarks)


def run_length(slices: int) -> int:
    """Return the number of decisive slices: a tenth of the slices, at least three, or all."""
    return min(slices, max(_MIN_RUN, math.ceil(_RUN_SHARE * slices)))


def strongest_run(scores: Scores) -> tuple[int, int]:
    """Find the neighbouring slices of highest mean, ``run_length`` of them.

    Lesions extend over neighbouring slices, errors often do not. The mean over all slices would dilute a small lesion;
    noisy-or would reach certainty from any hundred slices at 5 %; the maximum would depend on one slice. As the best
    of many runs it is still higher than that of a run chosen in advance.

    Returns:
        Start and stop index.

    Raises:
        UsageError: There is no slice.
    """
    if not len(scores):
        msg = "pooling needs at least one slice, got none"
        raise UsageError(msg)
    length = run_length(len(scores))
    sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
    start = int(np.argmax(sums[length:] - sums[:-length]))
    return start, start + length


def slices_with_head(voxels: Voxels) -> list[int]:
    """Return the indices of the slices of ``(s, h, w)`` that show enough of a head; none for a uniform volume."""
    step = max(1, math.ceil((voxels.size / _PERCENTILE_VOXELS) ** (1 / 3)))
    low, high = percentiles(voxels[::step, ::step, ::step], 1.0, 99.0)
    if high <= low:
        return []
    level = low + _HEAD_LEVEL * (high - low)
    areas = np.array([np.count_nonzero(layer > level) for layer in voxels])
    return [int(index) for index in np.flatnonzero(areas >= _MIN_HEAD_SHARE * areas.max())]
