"""What stands between a network's numbers and a verdict: the gate, the prediction sets, the grey zone, the members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool

from brainslice.arrays import MemberProbabilities, NetworkInput, Scores
from brainslice.bundle.store import ModelBundle
from brainslice.decision.conformal import ConformalSets
from brainslice.decision.image_quality import image_faults
from brainslice.decision.operating_point import Criterion, OperatingPoint
from brainslice.decision.out_of_distribution import DETECTOR_FILE, OutOfDistributionDetector
from brainslice.decision.temperature import Temperature
from brainslice.decision.uncertainty import mutual_information
from brainslice.decision.verdict import Reason, Verdict, VerdictInputs, decide
from brainslice.inference.engines.engine import EngineOutput
from brainslice.labels import LabelSet

# Two of five members may not be outvoted; one of five may.
_DISSENT: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said about one scan besides its probabilities; the fields are those of ``Prediction``."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    prediction_set: tuple[str, ...]
    coverage: float | None
    ood_score: float | None
    mutual_information: float | None


@dataclass(frozen=True, slots=True, eq=False)
class VerdictRules:
    """All that may refer a scan to a person; a bundle may lack any part of it.

    Attributes:
        labels: The classes.
        conformal_sets: What makes prediction sets.
        ood_detector: What tells strange pictures. Bundles without it look at no picture either.
        points: The operating points that may leave a grey zone between them.
    """

    labels: LabelSet
    conformal_sets: ConformalSets | None = None
    ood_detector: OutOfDistributionDetector | None = None
    points: tuple[OperatingPoint, ...] = ()

    @classmethod
    def of(cls, bundle: ModelBundle) -> VerdictRules:
        """Take what a bundle brings.

        Raises:
            BundleError: The gate's arrays are not what the bundle says.
        """
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
        self, output: EngineOutput, seen: Sequence[NetworkInput], temperature: Temperature, threshold: float
    ) -> list[Decision]:
        """Judge several scans.

        Args:
            output: What the network said about them.
            seen: The pictures as it saw them ``(h, w)``.
            temperature: What makes probabilities honest, those of an ensemble's members too.
            threshold: The probability of any tumour from which a scan is called one.

        Returns:
            A judgement for each scan.

        Raises:
            BundleError: The gate was fitted on features of another network.
        """
        probabilities = temperature.probabilities(output.logits)
        chance = 1.0 - probabilities[:, self.labels.healthy_index]
        possible = None if self.conformal_sets is None else self.conformal_sets.sets(probabilities)
        strangeness = None if self.ood_detector is None else self.ood_detector.ood_score(output.features)
        members = _of_members(output, temperature)
        low, high = grey_zone(self.points, threshold)
        dissent = np.zeros(len(chance)) if members is None else self._dissent(members, threshold)
        information = None if members is None else mutual_information(members)
        judgements = []
        for place, picture in enumerate(seen):
            found = VerdictInputs(
                tumour=bool(chance[place] >= threshold),
                input_faults=self._faults(strangeness, place, picture),
                prediction_set=None if possible is None else self._names(possible[place]),
                near_threshold=bool(low <= chance[place] < high),
                disagreement=bool(dissent[place] >= _DISSENT),
            )
            judgements.append(self._judgement(found, _at(strangeness, place), _at(information, place)))
        return judgements

    def _judgement(self, found: VerdictInputs, strangeness: float | None, information: float | None) -> Decision:
        verdict, reasons = decide(found, self.labels)
        return Decision(
            verdict=verdict,
            reasons=reasons,
            prediction_set=tuple(found.prediction_set or ()),
            coverage=None if self.conformal_sets is None else self.conformal_sets.coverage,
            ood_score=strangeness,
            mutual_information=information,
        )

    def _faults(self, strangeness: Scores | None, place: int, picture: NetworkInput) -> tuple[Reason, ...]:
        if strangeness is None:
            return ()
        strange = (Reason.OUT_OF_DISTRIBUTION,) if strangeness[place] > 1 else ()
        return (*image_faults(picture), *strange)

    def _names(self, possible: Bool[np.ndarray, " k"]) -> tuple[str, ...]:
        return tuple(name for name, held in zip(self.labels.names, possible, strict=True) if held)

    def _dissent(self, members: MemberProbabilities, threshold: float) -> Scores:
        """Tell the share of members that are outvoted about tumour or no tumour."""
        votes = (1.0 - members[..., self.labels.healthy_index] >= threshold).mean(axis=1)
        return np.asarray(np.minimum(votes, 1.0 - votes))


def grey_zone(points: Sequence[OperatingPoint], threshold: float) -> tuple[float, float]:
    """Find the probabilities that are too close to the threshold to keep both promises of a bundle.

    Below the threshold for a target sensitivity few enough tumours are missed; from the threshold for a target
    specificity on few enough alarms are false. Between the two neither can be said.

    Args:
        points: The bundle's operating points.
        threshold: The one in use.

    Returns:
        Where the zone begins, and where it ends: the narrowest around the threshold; both the threshold itself where
        there is none.
    """
    low = [point.threshold for point in points if point.criterion is Criterion.SENSITIVITY]
    high = [point.threshold for point in points if point.criterion is Criterion.SPECIFICITY]
    below, above = [each for each in low if each <= threshold], [each for each in high if each >= threshold]
    return (max(below), min(above)) if below and above else (threshold, threshold)


def _of_members(output: EngineOutput, temperature: Temperature) -> MemberProbabilities | None:
    logits = output.member_logits
    if logits is None:
        return None
    return temperature.probabilities(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)


def _at(numbers: Scores | None, place: int) -> float | None:
    return None if numbers is None else float(numbers[place])
