"""What an adapted bundle remembers of the site it was adapted to: one more file in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PositiveInt, ValidationError

from brainslice.bundle.fields import Fraction, Line, Sha256, StoredModel
from brainslice.bundle.migration import migrate_adaptation
from brainslice.bundle.store import ModelBundle
from brainslice.errors import BundleError

ADAPTATION_FILE: Final = "adaptation.json"
"""The name of that file."""


class HeldOutPrediction(StoredModel):
    """What was said of one of the site's scans by a model that it neither trained nor tuned.

    Attributes:
        pixels: Hash of the decoded picture.
        tumour_probability: What that model said.
        predicted_tumour: Whether it called the scan a tumour, at a threshold of other scans.
    """

    pixels: Sha256
    tumour_probability: Fraction
    predicted_tumour: bool


class Adaptation(StoredModel):
    """How a bundle was adapted, and what that came to on scans that had no part in it.

    Attributes:
        format: The layout's number.
        site: The name of the site's folder.
        scans: How many of its pictures trained the network.
        groups: How many groups of relatives those are.
        base: Digest of the bundle it was adapted from.
        settings: The settings of the adaptation.
        source_macro_f1_before: Of the base, on the source's validation scans.
        source_macro_f1_after: Of the adapted network, on the same scans.
        forgetting_accepted: Whether it forgot more than allowed and somebody accepted that.
        comparison: All ways that were compared, out of fold.
        learning_curve: What fewer labelled scans came to.
        out_of_fold: One answer for each of the site's pictures.
    """

    format: Literal[2] = 2
    site: Line
    scans: PositiveInt
    groups: PositiveInt
    base: Sha256
    settings: dict[str, Any]
    source_macro_f1_before: Fraction
    source_macro_f1_after: Fraction
    forgetting_accepted: bool
    comparison: list[dict[str, Any]]
    learning_curve: list[dict[str, Any]]
    out_of_fold: Annotated[tuple[HeldOutPrediction, ...], Field(min_length=1)]

    def to_text(self) -> str:
        """Spell it as it is stored."""
        return self.model_dump_json(indent=2) + "\n"


def adapted_name(site: str) -> str:
    """Name the folder of a bundle that was adapted to a site; ``external_`` before the site's name is left out."""
    return f"adapted_{site.removeprefix('external_') or site}"


def read_adaptation(bundle: ModelBundle) -> Adaptation | None:
    """Read how a bundle was adapted; None where it was not.

    Raises:
        BundleError: The file is none of ours.
    """
    if ADAPTATION_FILE not in bundle.info.files:
        return None
    path: Path = bundle.path(ADAPTATION_FILE)
    try:
        return Adaptation.model_validate_json(migrate_adaptation(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is no JSON object"
        msg = f"{path}: cannot be understood ({fault}); adapt the base bundle again"
        raise BundleError(msg) from error
