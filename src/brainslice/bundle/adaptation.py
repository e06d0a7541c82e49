"""The description of an adaptation, a further file of an adapted bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PositiveInt, ValidationError

from brainslice.bundle.fields import Fraction, Line, Sha256, StoredModel
from brainslice.bundle.migration import migrate_adaptation
from brainslice.bundle.store import ModelBundle
from brainslice.errors import BundleError

ADAPTATION_FILE: Final = "adaptation.json"
"""The name of the file."""


class HeldOutPrediction(StoredModel):
    """The out-of-fold prediction of one of the site's scans.

    Attributes:
        pixels: Hash of the decoded image.
        tumour_probability: P(tumour).
        predicted_tumour: Whether it reaches the threshold, chosen on other scans.
    """

    pixels: Sha256
    tumour_probability: Fraction
    predicted_tumour: bool


class Adaptation(StoredModel):
    """Settings and out-of-fold results of an adaptation.

    Attributes:
        format: The format version.
        site: The name of the site's folder.
        scans: The number of the site's scans for training.
        groups: The number of groups of those.
        base: Digest of the original bundle.
        settings: The settings of the adaptation.
        source_macro_f1_before: Of the original bundle, on the source's validation scans.
        source_macro_f1_after: Of the adapted network, on the same scans.
        forgetting_accepted: Whether more forgetting than allowed was accepted by the user.
        comparison: The methods compared, out of fold.
        learning_curve: Results with fewer labelled scans.
        out_of_fold: A prediction for each of the site's scans.
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
        """Return the JSON text as stored."""
        return self.model_dump_json(indent=2) + "\n"


def adapted_name(site: str) -> str:
    """Return the folder name of a bundle adapted to a site, without the prefix ``external_``."""
    return f"adapted_{site.removeprefix('external_') or site}"


def read_adaptation(bundle: ModelBundle) -> Adaptation | None:
    """Read the description of a bundle's adaptation; None if it is not adapted.

    Raises:
        BundleError: The file is invalid.
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
