"""The result for one scan: a prediction, or the reason for a refusal."""

from __future__ import annotations

import base64
import html
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from brainslice.array_types import Float
from brainslice.arrays import Heat, NetworkInput
from brainslice.decision import Reason, Verdict
from brainslice.errors import UsageError
from brainslice.inference.heat_map import upsample
from brainslice.labels import LabelSet
from brainslice.scan import Remark

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The prediction for a scan; of its file only the name and the pixels are kept.

    Attributes:
        source: The file name without folder.
        labels: The classes.
        probabilities: Class name to calibrated probability, in the order of ``labels``.
        threshold: P(tumour) from which the scan is predicted as a tumour.
        warnings: Warnings on the model: ``phantom``, ``leaky``, ``imported``, ``no_heat_map``.
        bundle: The digest of the bundle.
        network_input: The preprocessed image ``(h, w)``.
        class_maps: The contribution of each position to each class's logit ``(mh, mw, k)``, at least 0.
        verdict: Tumour, no tumour, or refer; the class alone if no class is healthy.
        reasons: The reasons of a referral.
        prediction_set: The classes in the conformal prediction set; empty without sets.
        coverage: The nominal coverage of the sets for each class; None without sets.
        ood_score: The out-of-distribution score in units of its limit; None without a detector.
        mutual_information: The disagreement of ensemble members or dropout draws in nats; None for a single network.
        remarks: Properties of the file that were assumed, replaced or not used.
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
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        total = math.fsum(self.probabilities.values())
        if tuple(self.probabilities) != self.labels.names or not abs(total - 1.0) <= _ROUNDING:
            msg = f"probabilities must be of {list(self.labels.names)} and sum to 1, got {self.probabilities}"
            raise UsageError(msg)

    def __repr__(self) -> str:
        """Show the file, the verdict and the probability of a tumour."""
        name = "" if self.predicted_class is None else f" {self.predicted_class}"
        share = "" if self.labels.healthy is None else f" P(tumour)={self.tumour_probability:.3f}"
        return f"<Prediction {self.source}: {self.verdict.value},{name}{share}>"

    def _repr_html_(self) -> str:
        """Show the overlay and the verdict in a notebook."""
        stream = io.BytesIO()
        self.overlay().save(stream, format="PNG")
        picture = base64.b64encode(stream.getvalue()).decode("ascii")
        return (
            f'<figure><img src="data:image/png;base64,{picture}" alt="heat map over the scan">'
            f"<figcaption>{html.escape(repr(self))}; research use only</figcaption></figure>"
        )

    @property
    def rejected(self) -> bool:
        """Whether the image is unfit for the model, so that no class is given."""
        return any(reason.rejects_input for reason in self.reasons)

    @property
    def most_probable_class(self) -> str:
        """The class with the highest probability, also of a rejected image."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def predicted_class(self) -> str | None:
        """The most probable class; None if the image was rejected."""
        return None if self.rejected else self.most_probable_class

    @property
    def tumour_probability(self) -> float:
        """The probability of any tumour: one minus that of the healthy class.

        Raises:
            UsageError: No class is healthy.
        """
        return 1.0 - self.probabilities[self.labels.names[self.labels.healthy_index]]

    @property
    def tumour(self) -> bool | None:
        """Whether P(tumour) reaches the threshold; None if the image was rejected or no class is healthy."""
        return None if self.rejected or self.labels.healthy is None else self.tumour_probability >= self.threshold

    @property
    def entropy(self) -> float:
        """The entropy of the probabilities in nats; 0 where one class has probability 1."""
        return math.fsum(-share * math.log(share) for share in self.probabilities.values() if share > 0)

    def heat_map(self, name: str | None = None) -> Heat:
        """Compute the Grad-CAM heat map ``(h, w)`` of a class, by default the most probable one.

        Values are at least 0, in units of the logit.

        Raises:
            DatasetError: There is no such class.
        """
        height, width = self.network_input.shape
        return upsample(self.class_maps[..., self.labels.index(name or self.most_probable_class)], height, width)

    def overlay(self, name: str | None = None, opacity: float = 0.65) -> Image.Image:
        """Draw the heat map of a class over the network input, as an RGB image of its size.

        Args:
            name: The class; None for the most probable one.
            opacity: The opacity of the heat map's maximum, 0 to 1.

        Raises:
            DatasetError: There is no such class.
            UsageError: The opacity is not from 0 to 1.
        """
        from brainslice.inference.overlay import draw_overlay  # noqa: PLC0415 - it draws predictions

        return Image.fromarray(draw_overlay(self.network_input, self.heat_map(name), opacity))

    def to_json(self) -> dict[str, Any]:
        """Convert to plain types, without images; P(tumour) is None if no class is healthy."""
        return {
            "source": self.source,
            "class": self.predicted_class,
            "probabilities": dict(self.probabilities),
            "tumour_probability": None if self.labels.healthy is None else self.tumour_probability,
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
            "remarks": [remark.to_json() for remark in self.remarks],
            "bundle": self.bundle,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a scan.

    Attributes:
        source: The file name without folder.
        reason: File, fault and remedy in one line.
    """

    source: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Convert to plain types."""
        return {"source": self.source, "refused": self.reason}


def format_percent(probability: float) -> str:
    """Format a probability with two digits, never as 100 % or 0 %."""
    whole = round(100 * probability)
    if whole > 99:  # noqa: PLR2004 - two digits
        return "> 99 %"
    return f"{whole} %" if whole > 0 else "< 1 %"
