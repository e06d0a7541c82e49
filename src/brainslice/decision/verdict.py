"""The verdict on a scan: tumour, no tumour, or referred to a person, with reasons."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brainslice.labels import LabelSet


class Verdict(StrEnum):
    """The verdict on a scan."""

    TUMOUR = "tumour"
    NO_TUMOUR = "no tumour"
    REFER = "refer"


class Reason(StrEnum):
    """Why a scan is referred to a person."""

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
        """The reason as a sentence."""
        return _MESSAGES[self]

    @property
    def rejects_input(self) -> bool:
        """Whether the picture itself is unfit for the model, so that no class may be given."""
        return self in _INPUT_FAULTS


_INPUT_FAULTS: Final = frozenset({Reason.FLAT, Reason.NO_BACKGROUND, Reason.NO_HEAD, Reason.OUT_OF_DISTRIBUTION})

_MESSAGES: Final = {
    Reason.FLAT: "the picture is nearly all of one grey",
    Reason.NO_BACKGROUND: "the picture has no dark background around a head",
    Reason.NO_HEAD: "no single object the size of a head stands out in the picture",
    Reason.OUT_OF_DISTRIBUTION: "the picture is unlike the scans the model learnt from",
    Reason.UNDECIDED: "at the promised coverage both tumour and no tumour remain possible",
    Reason.EMPTY_SET: "at the promised coverage no class remains possible",
    Reason.CONTRADICTION: "the threshold says one thing, and the set of possible classes the other",
    Reason.NEAR_THRESHOLD: "the probability of a tumour is too close to the threshold",
    Reason.DISAGREEMENT: "the members of the ensemble disagree about tumour or no tumour",
}


@dataclass(frozen=True, slots=True)
class VerdictInputs:
    """The inputs of the verdict on one scan.

    Attributes:
        tumour: Whether the probability of a tumour reaches the threshold.
        input_faults: Faults of the picture itself.
        prediction_set: Names of the classes that remain possible; None where the bundle has no sets.
        near_threshold: Whether the probability lies too close to the threshold.
        disagreement: Whether an ensemble's members differ about tumour or no tumour.
    """

    tumour: bool
    input_faults: tuple[Reason, ...] = ()
    prediction_set: Collection[str] | None = None
    near_threshold: bool = False
    disagreement: bool = False


def decide(found: VerdictInputs, labels: LabelSet) -> tuple[Verdict, tuple[Reason, ...]]:
    """Decide tumour or no tumour, or refer the scan where there is a reason against either.

    A prediction set of several tumour classes is no reason to refer.

    Args:
        found: The call at the threshold and the reasons against it.
        labels: The classes.

    Returns:
        The verdict, and the reasons where it is to refer, the gravest first.
    """
    reasons = [*found.input_faults]
    if found.prediction_set is not None:
        reasons += _reasons_of_set(found.prediction_set, labels, tumour=found.tumour)
    if found.near_threshold:
        reasons.append(Reason.NEAR_THRESHOLD)
    if found.disagreement:
        reasons.append(Reason.DISAGREEMENT)
    if reasons:
        return Verdict.REFER, tuple(reasons)
    return (Verdict.TUMOUR if found.tumour else Verdict.NO_TUMOUR), ()


def _reasons_of_set(possible: Collection[str], labels: LabelSet, *, tumour: bool) -> list[Reason]:
    if not possible:
        return [Reason.EMPTY_SET]
    healthy = labels.healthy in possible
    if healthy and len(possible) > 1:
        return [Reason.UNDECIDED]
    return [Reason.CONTRADICTION] if healthy == tumour else []
