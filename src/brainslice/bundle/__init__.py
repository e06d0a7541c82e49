"""What training leaves."""

from brainslice.bundle.card import model_card
from brainslice.bundle.store import ModelBundle, amend_bundle, open_bundle, write_bundle
from brainslice.bundle.types import (
    BundleDraft,
    BundleInfo,
    Classes,
    GraphParity,
    Provenance,
    Validation,
)

__all__ = [
    "BundleDraft",
    "BundleInfo",
    "Classes",
    "GraphParity",
    "ModelBundle",
    "Provenance",
    "Validation",
    "amend_bundle",
    "model_card",
    "open_bundle",
    "write_bundle",
]
