"""Model bundles: one folder with a description, a graph and the hash of every file.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.bundle.abstention import StoredConformalSets, StoredOodDetector
    from brainslice.bundle.adaptation import (
        ADAPTATION_FILE,
        Adaptation,
        HeldOutPrediction,
        adapted_name,
        read_adaptation,
    )
    from brainslice.bundle.ensemble import Ensemble, Member
    from brainslice.bundle.fields import Fraction, Line, StoredModel
    from brainslice.bundle.model_card import CARD_FILE
    from brainslice.bundle.store import ModelBundle, open_bundle, update_bundle, write_bundle
    from brainslice.bundle.types import (
        GRAPH_FILE,
        INFO_FILE,
        BundleDraft,
        BundleInfo,
        Classes,
        GraphParity,
        HalfPrecisionParity,
        Provenance,
        Validation,
    )

__all__ = [
    "ADAPTATION_FILE",
    "CARD_FILE",
    "GRAPH_FILE",
    "INFO_FILE",
    "Adaptation",
    "BundleDraft",
    "BundleInfo",
    "Classes",
    "Ensemble",
    "Fraction",
    "GraphParity",
    "HalfPrecisionParity",
    "HeldOutPrediction",
    "Line",
    "Member",
    "ModelBundle",
    "Provenance",
    "StoredConformalSets",
    "StoredModel",
    "StoredOodDetector",
    "Validation",
    "adapted_name",
    "open_bundle",
    "read_adaptation",
    "update_bundle",
    "write_bundle",
]

_HOMES = {
    "abstention": ("StoredConformalSets", "StoredOodDetector"),
    "adaptation": ("ADAPTATION_FILE", "Adaptation", "HeldOutPrediction", "adapted_name", "read_adaptation"),
    "ensemble": ("Ensemble", "Member"),
    "fields": ("Fraction", "Line", "StoredModel"),
    "model_card": ("CARD_FILE",),
    "store": ("ModelBundle", "open_bundle", "update_bundle", "write_bundle"),
    "types": (
        "BundleDraft",
        "BundleInfo",
        "Classes",
        "GRAPH_FILE",
        "GraphParity",
        "HalfPrecisionParity",
        "INFO_FILE",
        "Provenance",
        "Validation",
    ),
}

__getattr__ = lazy_names(__name__, _HOMES)
