"""Field types and parts of a bundle's description."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, model_validator

from brainslice.decision import MAX_TEMPERATURE, MIN_TEMPERATURE, ConformalSets, SetMethod

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share, 0 to 1."""

NotNegative = Annotated[float, Field(ge=0.0)]
"""A number of at least 0."""

Count = Annotated[int, Field(ge=0)]
"""An integer of at least 0."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A sha256 in lower-case hexadecimal."""

PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A file name: no path, not hidden."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]+$")]
"""A short text on one line."""


UNSIGNED: Final = "0" * 64
"""The digest or seal of a description while it is hashed."""


def stored_text(fields: Mapping[str, Any]) -> str:
    """Return a description's fields as JSON, as it is stored and hashed."""
    return json.dumps(fields, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


class StoredModel(BaseModel):
    """A part of the description: validated strictly, without further fields, immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class StoredConformalSets(StoredModel):
    """Fitted prediction sets.

    Attributes:
        method: The nonconformity score: ``lac`` or ``aps``.
        coverage: The nominal coverage of each class.
        quantiles: For each class the highest score at which it is in the set; None if it always is.
        counts: The number of validation scans of each class.
        groups: The number of groups of those scans; equal to ``counts`` if taken as independent.
    """

    method: Literal["lac", "aps"]
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]
    quantiles: tuple[Fraction | None, ...]
    counts: tuple[Count, ...]
    groups: tuple[Count, ...]

    @classmethod
    def of(cls, fitted: ConformalSets) -> StoredConformalSets:
        """Convert from fitted sets."""
        quantiles = tuple(None if math.isinf(quantile) else quantile for quantile in fitted.quantiles)
        return cls(**asdict(fitted) | {"method": fitted.method.value, "quantiles": quantiles})

    def conformal_sets(self) -> ConformalSets:
        """Convert to fitted sets."""
        quantiles = tuple(math.inf if quantile is None else quantile for quantile in self.quantiles)
        return ConformalSets(**self.model_dump() | {"method": SetMethod(self.method), "quantiles": quantiles})


class StoredOodDetector(StoredModel):
    """Description of the out-of-distribution detector, whose arrays are in a file of their own.

    Attributes:
        limit: The squared residual above which a scan is out of distribution.
        components: The number of principal components.
        training_scans: The number of scans they were fitted on.
        validation_scans: The number of scans that set the limit.
        rejection_rate: The share of those above the limit.
    """

    limit: Annotated[float, Field(gt=0.0)]
    components: Count
    training_scans: Count
    validation_scans: Count
    rejection_rate: Fraction


class Member(StoredModel):
    """A network of an ensemble, as described by its own bundle.

    Attributes:
        digest: The digest of that bundle.
        backbone: The name of its backbone.
        weights_digest: sha256 over its arrays.
        split_digest: sha256 over its training, validation and test scans.
        temperature: The temperature of its own logits.
    """

    digest: Sha256
    backbone: Line
    weights_digest: Sha256
    split_digest: Sha256
    temperature: Annotated[float, Field(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)]


class Ensemble(StoredModel):
    """Description of an ensemble.

    Attributes:
        members: In the graph's order.
        members_per_scan: The number of members behind each prediction that the temperature was fitted on: all, or for
            out-of-fold scans those not trained on the scan.
    """

    members: Annotated[tuple[Member, ...], Field(min_length=2)]
    members_per_scan: PositiveInt

    @model_validator(mode="after")
    def _check_members_per_scan(self) -> Ensemble:
        if self.members_per_scan > len(self.members):
            msg = f"members_per_scan must be at most {len(self.members)} (members), got {self.members_per_scan}"
            raise ValueError(msg)
        return self

    @property
    def out_of_fold(self) -> bool:
        """Whether the temperature was fitted on predictions of fewer members than there are."""
        return self.members_per_scan < len(self.members)


class HalfPrecisionParity(StoredModel):
    """Differences of a graph with 16-bit weights from that with 32-bit weights.

    Attributes:
        n: The number of validation scans compared.
        probabilities: Largest absolute difference of any probability.
        same_class: The share of the scans whose most probable class is the same.
        source: The digest of the bundle with 32-bit weights.
    """

    n: PositiveInt
    probabilities: NotNegative
    same_class: Fraction
    source: Sha256
