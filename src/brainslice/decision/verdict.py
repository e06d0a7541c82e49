"""The verdict on a scan: tumour, no tumour, a class alone, or refer for review with reasons."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brainslice.labels import LabelSet


class Verdict(StrEnum):
    """The final decision on a scan."""

    TUMOUR = "tumour"
    NO_TUMOUR = "no tumour"
    CLASS = "class"
    """The most probable class, of a model without a healthy class."""
    REFER = "refer"


class Reason(StrEnum):
    """Why a scan is referred for review."""

    FLAT = "flat"
    NO_BACKGROUND = "no_background"
    NO_HEAD = "no_head"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    UNDECIDED = "undecided"
    EMPTY_SET = "empty_set"
    CONTRADICTION = "contradiction"
    NEAR_THRESHOLD = "near_threshold"
    DISAGREEMENT = "disagreement"

    @property
    def message(self) -> str:
        """The reason as text."""
        return _MESSAGES[self]

    @property
    def rejects_input(self) -> bool:
        """Whether the image itself is unfit for the model, so that no class may be given."""
        return self in _INPUT_FAULTS


_INPUT_FAULTS: Final = frozenset({Reason.FLAT, Reason.NO_BACKGROUND, Reason.NO_HEAD, Reason.OUT_OF_DISTRIBUTION})

_MESSAGES: Final = {
    Reason.FLAT: "the image is nearly all of one grey",
    Reason.NO_BACKGROUND: "the image has no dark background around a head",
    Reason.NO_HEAD: "the image shows no single bright object of the size of a head",
    Reason.OUT_OF_DISTRIBUTION: "the image is unlike the training scans",
    Reason.UNDECIDED: "the prediction set contains both tumour and no tumour",
    Reason.EMPTY_SET: "the prediction set is empty",
    Reason.CONTRADICTION: "threshold and prediction set contradict each other",
    Reason.NEAR_THRESHOLD: "the probability of a tumour lies in the grey zone around the threshold",
    Reason.DISAGREEMENT: "the members of the ensemble disagree about tumour or no tumour",
}


@dataclass(frozen=True, slots=True)
class VerdictInputs:
    """The inputs of a verdict on one scan.

    Attributes:
        tumour: Whether P(tumour) reaches the threshold; None where no class is healthy.
        input_faults: Faults of the image and out-of-distribution detection.
        prediction_set: Class names in the prediction set; None if the bundle has no sets.
        near_threshold: Whether the probability is in the grey zone.
        disagreement: Whether an ensemble's members differ on tumour or no tumour.
    """

    tumour: bool | None
    input_faults: tuple[Reason, ...] = ()
    prediction_set: Collection[str] | None = None
    near_threshold: bool = False
    disagreement: bool = False


def decide(inputs: VerdictInputs, labels: LabelSet) -> tuple[Verdict, tuple[Reason, ...]]:
    """Decide tumour or no tumour, or refer for any reason.

    A prediction set of several tumour classes and no healthy one is no reason to refer.

    Returns:
        The verdict, and the reasons if it is to refer, the most severe first.
    """
    reasons = [*inputs.input_faults]
    if inputs.prediction_set is not None:
        reasons += _set_reasons(inputs.prediction_set, labels, tumour=inputs.tumour)
    if inputs.near_threshold:
        reasons.append(Reason.NEAR_THRESHOLD)
    if inputs.disagreement:
        reasons.append(Reason.DISAGREEMENT)
    if reasons:
        return Verdict.REFER, tuple(reasons)
    if inputs.tumour is None:
        return Verdict.CLASS, ()
    return (Verdict.TUMOUR if inputs.tumour else Verdict.NO_TUMOUR), ()


def _set_reasons(names: Collection[str], labels: LabelSet, *, tumour: bool | None) -> list[Reason]:
    if not names:
        return [Reason.EMPTY_SET]
    if tumour is None:
        return []
    healthy = labels.healthy in names
    if healthy and len(names) > 1:
        return [Reason.UNDECIDED]
    return [Reason.CONTRADICTION] if healthy == tumour else []
