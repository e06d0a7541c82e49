"""What a field of a bundle's description may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share of something, from none to all of it."""

NotNegative = Annotated[float, Field(ge=0.0)]
"""A distance or a loss."""

Count = Annotated[int, Field(ge=0)]
"""How many there are of something."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A sha256 in hexadecimal, lower case."""

PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A file's own name: no folder, nothing hidden, nothing a system might read as a path."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]+$")]
"""A word or a few, on one line."""


class StoredModel(BaseModel):
    """A part of the description: checked strictly, complete, and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
