"""Model bundles: a folder with description, graph and hashes; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "adaptation": "ADAPTATION_FILE Adaptation HeldOutPrediction adapted_name read_adaptation",
    "fields": "Ensemble Fraction HalfPrecisionParity Line Member StoredConformalSets StoredModel StoredOodDetector",
    "model_card": "CARD_FILE",
    "store": "ModelBundle open_bundle update_bundle write_bundle",
    "types": "GRAPH_FILE INFO_FILE BundleDraft BundleInfo Classes GraphParity Provenance Validation",
}

__getattr__ = lazy_names(__name__, _MODULES)
