"""Migration of bundle descriptions and reports of earlier formats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from brainslice.bundle.fields import UNSIGNED, stored_text

RENAMED_IN_FORMAT_2: Final = {
    "provenance.training": "training_recipe",
    "outliers": "ood_detector",
    "outliers.directions": "components",
    "outliers.training": "training_scans",
    "outliers.held_out": "validation_scans",
    "outliers.refused": "rejection_rate",
    "ensemble.heard": "members_per_scan",
    "halved": "half_precision",
}
"""Keys of ``bundle.json`` in format 1 to their names in format 2."""

RENAMED_IN_ADAPTATION: Final = {"table": "comparison", "curve": "learning_curve"}
"""Keys of ``adaptation.json`` in format 1 to their names in format 2."""

RENAMED_IN_REPORTS: Final = {
    "marks": "warnings",
    "floor": "baseline",
    "evaluation.marks": "warnings",
    "evaluation.floor": "baseline",
}
"""Keys of ``summary.json``, ``report.json`` and reports on external sites, to their current names."""


def rename_keys(tree: Mapping[str, Any], renamed: Mapping[str, str], parent: str = "") -> dict[str, Any]:
    """Return a copy of nested mappings, with keys renamed by their dotted path, such as ``outliers.refused``."""
    result = {}
    for key, value in tree.items():
        path = f"{parent}{key}"
        result[renamed.get(path, key)] = (
            rename_keys(value, renamed, f"{path}.") if isinstance(value, Mapping) else value
        )
    return result


def is_sealed(text: str) -> bool:
    """Return whether a description of format 1 is unaltered: its formatting and digest are those of the writer."""
    fields = json.loads(text)
    unsigned = stored_text(fields | {"digest": UNSIGNED})
    return text == stored_text(fields) and fields.get("digest") == hashlib.sha256(unsigned.encode()).hexdigest()


def migrate_description(text: str, current: int) -> str:
    """Migrate a description of format 1 to the format ``current``; its digest stays, as it identifies the bundle."""
    return json.dumps(rename_keys(json.loads(text), RENAMED_IN_FORMAT_2) | {"format": current})


def migrate_adaptation(text: str) -> str:
    """Migrate the description of an adaptation to the current format."""
    fields = json.loads(text)
    if fields.get("format") != 1:
        return text
    rows = [rename_keys(row, {"called_tumour": "predicted_tumour"}) for row in fields.get("out_of_fold", ())]
    return json.dumps(rename_keys(fields, RENAMED_IN_ADAPTATION) | {"format": 2, "out_of_fold": rows})
