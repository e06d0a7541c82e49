"""What a bundle stores of its prediction sets and of its gate."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from brainslice.bundle.fields import Count, Fraction, StoredModel
from brainslice.decision.conformal import ConformalSets, SetMethod


class StoredConformalSets(StoredModel):
    """What turns probabilities into prediction sets.

    Attributes:
        method: How far from certain a class is: ``lac`` or ``aps``.
        coverage: How often the sets of scans of each class hold that class.
        quantiles: For each class the score above which it leaves the set; None where it never does.
        counts: How many validation scans of each class that rests on.
        groups: How many groups of related scans those are; as many as scans where they were taken as independent.
    """

    method: Literal["lac", "aps"]
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]
    quantiles: tuple[Fraction | None, ...]
    counts: tuple[Count, ...]
    groups: tuple[Count, ...]

    @classmethod
    def of(cls, fitted: ConformalSets) -> StoredConformalSets:
        """Store what was fitted."""
        return cls(
            method=fitted.method.value,
            coverage=fitted.coverage,
            quantiles=tuple(None if math.isinf(quantile) else quantile for quantile in fitted.quantiles),
            counts=fitted.counts,
            groups=fitted.groups,
        )

    def conformal_sets(self) -> ConformalSets:
        """Make what they were stored from."""
        return ConformalSets(
            method=SetMethod(self.method),
            coverage=self.coverage,
            quantiles=tuple(math.inf if quantile is None else quantile for quantile in self.quantiles),
            counts=self.counts,
            groups=self.groups,
        )


class StoredOodDetector(StoredModel):
    """What a bundle says of the gate whose arrays lie beside the graph.

    Attributes:
        limit: What a scan's features may have outside of the training scans' directions.
        components: How many directions those are.
        training_scans: How many scans they were learnt from.
        validation_scans: How many scans set the limit.
        rejection_rate: The share of those beyond the limit.
    """

    limit: Annotated[float, Field(gt=0.0)]
    components: Count
    training_scans: Count
    validation_scans: Count
    rejection_rate: Fraction
