"""Migration of bundle descriptions that an earlier version wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

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
"""Keys of ``summary.json``, ``report.json`` and the reports on other sites, to their names today."""

_UNSIGNED: Final = "0" * 64


def rename_keys(tree: Mapping[str, Any], renamed: Mapping[str, str], parent: str = "") -> dict[str, Any]:
    """Rename keys of nested mappings.

    Args:
        tree: The mapping; it stays as it is.
        renamed: Dotted path of an old key, such as ``outliers.refused``, to the key's new name.
        parent: Where ``tree`` lies in a larger one: a dotted path with a dot at its end.

    Returns:
        A copy with new keys, in the same order.
    """
    result = {}
    for key, value in tree.items():
        path = f"{parent}{key}"
        result[renamed.get(path, key)] = (
            rename_keys(value, renamed, f"{path}.") if isinstance(value, Mapping) else value
        )
    return result


def is_sealed(text: str) -> bool:
    """Tell whether a description of format 1 is unaltered: spelled as it was written, under its own digest."""
    said = json.loads(text)
    unsigned = {**said, "digest": _UNSIGNED}
    return text == _spelled(said) and said.get("digest") == hashlib.sha256(_spelled(unsigned).encode()).hexdigest()


def migrate_description(text: str, current: int) -> str:
    """Give a description of format 1 today's keys; its digest stays, as it names the bundle.

    Args:
        text: The description as format 1 stores it.
        current: The number of today's format.
    """
    return json.dumps(rename_keys(json.loads(text), RENAMED_IN_FORMAT_2) | {"format": current})


def migrate_adaptation(text: str) -> str:
    """Give the description of an adaptation today's keys."""
    said = json.loads(text)
    if said.get("format") != 1:
        return text
    answers = [rename_keys(answer, {"called_tumour": "predicted_tumour"}) for answer in said.get("out_of_fold", ())]
    return json.dumps(rename_keys(said, RENAMED_IN_ADAPTATION) | {"format": 2, "out_of_fold": answers})


def _spelled(said: dict[str, Any]) -> str:
    return json.dumps(said, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
