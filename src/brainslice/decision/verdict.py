"""What is said in the end: tumour, no tumour, or that a person has to look, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brainslice.labels import LabelSet


class Verdict(StrEnum):
    """What is said about a scan in the end."""

    TUMOUR = "tumour"
    NO_TUMOUR = "no tumour"
    REFER = "refer"


class Reason(StrEnum):
    """Why a scan is referred to a person; ``message`` say it in a sentence."""

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
        """The reason as a person reads it."""
        return _WORDS[self]


_WORDS: Final = {
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
    """All that a verdict on one scan is made from.

    Attributes:
        tumour: What the threshold says.
        input_faults: What the gate found wrong with the picture.
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
    """Say tumour or no tumour, or refer where anything speaks against saying either.

    A set that leaves open which tumour it is leaves no doubt that it is one, and refers nobody.

    Args:
        found: What the threshold says, and what speaks against it.
        labels: The classes.

    Returns:
        The verdict, and the reasons where it is to refer, the gravest first.
    """
    reasons = [*found.input_faults]
    if found.prediction_set is not None:
        reasons += _doubts_of_set(found.prediction_set, labels, tumour=found.tumour)
    if found.near_threshold:
        reasons.append(Reason.NEAR_THRESHOLD)
    if found.disagreement:
        reasons.append(Reason.DISAGREEMENT)
    if reasons:
        return Verdict.REFER, tuple(reasons)
    return (Verdict.TUMOUR if found.tumour else Verdict.NO_TUMOUR), ()


def _doubts_of_set(possible: Collection[str], labels: LabelSet, *, tumour: bool) -> list[Reason]:
    if not possible:
        return [Reason.EMPTY_SET]
    healthy = labels.healthy in possible
    if healthy and len(possible) > 1:
        return [Reason.UNDECIDED]
    return [Reason.CONTRADICTION] if healthy == tumour else []
