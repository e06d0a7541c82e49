"""Verdicts from network outputs: OOD detection, prediction sets, grey zone and ensemble disagreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.array_types import Bool
from brainslice.arrays import MemberProbabilities, NetworkInput, Scores
from brainslice.bundle import ModelBundle
from brainslice.decision import (
    DETECTOR_FILE,
    ConformalSets,
    Criterion,
    OperatingPoint,
    OutOfDistributionDetector,
    Reason,
    Temperature,
    Verdict,
    VerdictInputs,
    decide,
    image_faults,
    mutual_information,
)
from brainslice.inference.engines.engine import EngineOutput
from brainslice.labels import LabelSet

_MIN_MINORITY: Final = 1 / 3
"""The minority share of ensemble members from which a scan is referred: two of five, not one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one scan; the fields are those of ``Prediction``."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    prediction_set: tuple[str, ...]
    coverage: float | None
    ood_score: float | None
    mutual_information: float | None


@dataclass(frozen=True, slots=True, eq=False)
class VerdictRules:
    """The rules by which a scan is referred for review; a bundle may lack any of them.

    Attributes:
        labels: The classes.
        conformal_sets: The prediction sets.
        ood_detector: The out-of-distribution detector; without it image quality is not checked either.
        points: The operating points, which may leave a grey zone between them.
    """

    labels: LabelSet
    conformal_sets: ConformalSets | None = None
    ood_detector: OutOfDistributionDetector | None = None
    points: tuple[OperatingPoint, ...] = ()

    @classmethod
    def of(cls, bundle: ModelBundle) -> VerdictRules:
        """Read the rules of a bundle."""
        info = bundle.info
        return cls(
            labels=bundle.labels,
            conformal_sets=None if info.conformal is None else info.conformal.conformal_sets(),
            ood_detector=None
            if info.ood_detector is None
            else OutOfDistributionDetector.read(bundle.path(DETECTOR_FILE), info.ood_detector.limit),
            points=info.operating_points,
        )

    def decide(
        self, output: EngineOutput, inputs: Sequence[NetworkInput], temperature: Temperature, threshold: float
    ) -> list[Decision]:
        """Decide on several scans."""
        probabilities = temperature.probabilities(output.logits)
        # Without a healthy class there is no P(tumour), and nothing that depends on it.
        tumour = None if self.labels.healthy is None else 1.0 - probabilities[:, self.labels.healthy_index]
        sets = None if self.conformal_sets is None else self.conformal_sets.sets(probabilities)
        ood_scores = None if self.ood_detector is None else self.ood_detector.ood_score(output.features)
        members = _member_probabilities(output, temperature)
        low, high = grey_zone(self.points, threshold)
        minority = None if members is None or tumour is None else self._minority_share(members, threshold)
        information = None if members is None else mutual_information(members)
        decisions = []
        for index, image in enumerate(inputs):
            ood_score = _at(ood_scores, index)
            rules = VerdictInputs(
                tumour=None if tumour is None else bool(tumour[index] >= threshold),
                input_faults=() if ood_score is None else _input_faults(image, ood_score),
                prediction_set=None if sets is None else self._names(sets[index]),
                near_threshold=tumour is not None and bool(low <= tumour[index] < high),
                disagreement=minority is not None and bool(minority[index] >= _MIN_MINORITY),
            )
            verdict, reasons = decide(rules, self.labels)
            decisions.append(
                Decision(
                    verdict=verdict,
                    reasons=reasons,
                    prediction_set=tuple(rules.prediction_set or ()),
                    coverage=None if self.conformal_sets is None else self.conformal_sets.coverage,
                    ood_score=ood_score,
                    mutual_information=_at(information, index),
                )
            )
        return decisions

    def _names(self, in_set: Bool[np.ndarray, " k"]) -> tuple[str, ...]:
        return tuple(name for name, included in zip(self.labels.names, in_set, strict=True) if included)

    def _minority_share(self, members: MemberProbabilities, threshold: float) -> Scores:
        """Compute the minority share of the members' votes on tumour or no tumour."""
        votes = (1.0 - members[..., self.labels.healthy_index] >= threshold).mean(axis=1)
        return np.asarray(np.minimum(votes, 1.0 - votes))


def grey_zone(points: Sequence[OperatingPoint], threshold: float) -> tuple[float, float]:
    """Find the probabilities between the operating points of target sensitivity and target specificity.

    Below the former few enough tumours are missed; from the latter on few enough healthy scans are false positives.

    Returns:
        Start and end of the narrowest zone around the threshold; both are the threshold if there is none.
    """
    low = [point.threshold for point in points if point.criterion is Criterion.SENSITIVITY]
    high = [point.threshold for point in points if point.criterion is Criterion.SPECIFICITY]
    below, above = [each for each in low if each <= threshold], [each for each in high if each >= threshold]
    return (max(below), min(above)) if below and above else (threshold, threshold)


def _input_faults(image: NetworkInput, ood_score: float) -> tuple[Reason, ...]:
    faults = image_faults(image)
    return (*faults, Reason.OUT_OF_DISTRIBUTION) if ood_score > 1 else faults


def _member_probabilities(output: EngineOutput, temperature: Temperature) -> MemberProbabilities | None:
    logits = output.member_logits
    if logits is None:
        return None
    return temperature.probabilities(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)


def _at(values: Scores | None, index: int) -> float | None:
    return None if values is None else float(values[index])
