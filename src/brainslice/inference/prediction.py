"""What is said about one scan: an answer, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from brainslice.arrays import Heat, NetworkInput
from brainslice.decision.verdict import Reason, Verdict
from brainslice.errors import UsageError
from brainslice.inference.heat_map import upsample
from brainslice.labels import LabelSet

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer to one scan. Of the file it holds the name and the pixels, and nothing else.

    Attributes:
        source: The file's name as it was given, without its folder.
        labels: The classes.
        probabilities: Class name to calibrated probability, in the order of ``labels``.
        threshold: The probability of any tumour from which the scan is called one.
        warnings: What must be said beside the answer, such as ``phantom`` or ``leaky``.
        bundle: The digest of the bundle that answered.
        network_input: The picture as the network saw it ``(h, w)``.
        class_maps: What each position adds to each class's logit ``(mh, mw, k)``, at least 0.
        verdict: Tumour, no tumour, or that a person has to look.
        reasons: Why a person has to look; empty where none has to.
        prediction_set: The classes that remain possible at ``coverage``; empty too where the bundle has no sets.
        coverage: How often sets like this hold the true class, for scans of every class; None where there are no sets.
        ood_score: How unlike the training scans this one is, in units of the limit; None where nothing measures it.
        mutual_information: How much the members of an ensemble differ, in nats; None for one network alone.
    """

    source: str
    labels: LabelSet
    probabilities: dict[str, float]
    threshold: float
    warnings: tuple[str, ...]
    bundle: str
    network_input: NetworkInput
    class_maps: Float[np.ndarray, "mh mw k"]
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    prediction_set: tuple[str, ...] = ()
    coverage: float | None = None
    ood_score: float | None = None
    mutual_information: float | None = None

    def __post_init__(self) -> None:
        """Refuse answers that are no probabilities over the classes."""
        total = math.fsum(self.probabilities.values())
        if tuple(self.probabilities) != self.labels.names or not abs(total - 1.0) <= _ROUNDING:
            msg = f"probabilities must be of {list(self.labels.names)} and sum to 1, got {self.probabilities}"
            raise UsageError(msg)

    @property
    def predicted_class(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def tumour_probability(self) -> float:
        """The probability of any tumour: one minus that of the healthy class."""
        return 1.0 - self.probabilities[self.labels.healthy]

    @property
    def tumour(self) -> bool:
        """Whether the scan is called a tumour at the threshold."""
        return self.tumour_probability >= self.threshold

    @property
    def entropy(self) -> float:
        """How undecided the probabilities are, in nats: 0 where one class has it all."""
        return math.fsum(-share * math.log(share) for share in self.probabilities.values() if share > 0)

    @property
    def heat_map(self) -> Heat:
        """Where the evidence for the predicted class lies ``(h, w)``, in units of its logit."""
        return self.heat_map_for(self.predicted_class)

    def heat_map_for(self, name: str) -> Heat:
        """Show where the evidence for one class lies.

        Args:
            name: The class.

        Returns:
            The heat ``(h, w)`` at the size of ``seen``, at least 0, in units of the class's logit.

        Raises:
            DatasetError: There is no such class.
        """
        height, width = self.network_input.shape
        return upsample(self.class_maps[..., self.labels.index(name)], height, width)

    def to_json(self) -> dict[str, Any]:
        """Tell the answer in plain types, without any picture."""
        return {
            "source": self.source,
            "class": self.predicted_class,
            "probabilities": dict(self.probabilities),
            "tumour_probability": self.tumour_probability,
            "threshold": self.threshold,
            "tumour": self.tumour,
            "verdict": self.verdict.value,
            "reasons": [{"code": reason.value, "message": reason.message} for reason in self.reasons],
            "prediction_set": list(self.prediction_set),
            "coverage": self.coverage,
            "ood_score": self.ood_score,
            "entropy": self.entropy,
            "mutual_information": self.mutual_information,
            "warnings": list(self.warnings),
            "bundle": self.bundle,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer to one scan.

    Attributes:
        source: The file's name as it was given, without its folder.
        reason: One line: file, fault, remedy.
    """

    source: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Tell the refusal in plain types."""
        return {"source": self.source, "refused": self.reason}


def format_percent(probability: float) -> str:
    """Write a probability in two digits; no model is entitled to 100 %, nor to 0 %."""
    whole = round(100 * probability)
    if whole > 99:  # noqa: PLR2004 - the most that two digits can say
        return "> 99 %"
    return f"{whole} %" if whole > 0 else "< 1 %"
