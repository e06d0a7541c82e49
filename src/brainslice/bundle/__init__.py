"""Model bundles: a folder with description, graph and hashes; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.bundle.adaptation import (
        ADAPTATION_FILE,
        Adaptation,
        HeldOutPrediction,
        adapted_name,
        read_adaptation,
    )
    from brainslice.bundle.fields import (
        Ensemble,
        Fraction,
        HalfPrecisionParity,
        Line,
        Member,
        StoredConformalSets,
        StoredModel,
        StoredOodDetector,
    )
    from brainslice.bundle.migration import RENAMED_IN_REPORTS, rename_keys
    from brainslice.bundle.model_card import CARD_FILE, render_model_card, updated_card
    from brainslice.bundle.signature import check_signature, sign_bundle
    from brainslice.bundle.store import ModelBundle, open_bundle, update_bundle, write_bundle
    from brainslice.bundle.types import (
        GRAPH_FILE,
        IMPORTED,
        INFO_FILE,
        BundleDraft,
        BundleInfo,
        Classes,
        GraphParity,
        Provenance,
        Validation,
    )

__getattr__ = lazy_names(__name__)
