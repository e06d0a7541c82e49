"""What a bundle of several networks says about each of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from brainslice.bundle.fields import Line, Sha256, StoredModel


class Member(StoredModel):
    """One network of an ensemble: what its own bundle said of it.

    Attributes:
        digest: The digest of that bundle.
        backbone: The network's family name.
        weights_digest: sha256 over its arrays.
        split_digest: sha256 over which scans trained it, chose, and were kept for testing.
        temperature: What its own logits were divided by.
    """

    digest: Sha256
    backbone: Line
    weights_digest: Sha256
    split_digest: Sha256
    temperature: Annotated[float, Field(gt=0.0)]


class Ensemble(StoredModel):
    """Networks that answer together.

    Attributes:
        members: They, in the graph's order.
        members_per_scan: How many of them judged each scan that the temperature was fitted on: all, or where only
            out-of-fold scans are left, those that were not trained on it.
    """

    members: Annotated[tuple[Member, ...], Field(min_length=2)]
    members_per_scan: PositiveInt

    @model_validator(mode="after")
    def _hears_no_more_than_there_are(self) -> Ensemble:
        if self.members_per_scan > len(self.members):
            msg = f"heard must be at most {len(self.members)}, the number of members, got {self.members_per_scan}"
            raise ValueError(msg)
        return self

    @property
    def out_of_fold(self) -> bool:
        """Whether the temperature comes from fewer networks than answer together."""
        return self.members_per_scan < len(self.members)
