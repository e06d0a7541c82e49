from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import ModelBundle, write_bundle
from brainslice.bundle.types import BundleDraft, Classes, GraphParity, Provenance, Validation
from brainslice.labels import LabelSet
from brainslice.preprocessing.recipe import Recipe


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        dataset="drawn",
        manifest_digest="ab" * 32,
        split_digest="cd" * 32,
        weights_digest="ef" * 32,
        protocol="clean",
        leaky=False,
        phantom=False,
        seed=7,
        training_recipe="quick",
        train_images=30,
        train_groups=10,
        validation_images=12,
        validation_groups=4,
        versions={"numpy": np.__version__},
    )


@pytest.fixture
def draft(provenance: Provenance) -> BundleDraft:
    return BundleDraft(
        name="drawn heads",
        created=datetime(2025, 3, 1, 12, 30, tzinfo=UTC),
        labels=Classes.of(LabelSet()),
        recipe=dict(Recipe().to_json()),
        temperature=1.25,
        backbone="efficientnetv2-b0",
        class_map_shape=(7, 7),
        class_map_bias=(0.5, -0.25, 0.0, 1e-05),
        provenance=provenance,
        validation=Validation(n=12, accuracy=0.75, nll=0.6, ece=0.05),
        parity=GraphParity(n=8, logits=6e-7, class_maps=5e-6),
    )


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    left = tmp_path / "left by training"
    left.mkdir()
    for name in ("model.onnx", "model.keras", "README.md"):
        (left / name).write_bytes(rng.bytes(500))
    return {path.name: path for path in left.iterdir()}


@pytest.fixture
def bundle(tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]) -> ModelBundle:
    return write_bundle(tmp_path / "bundle", draft, parts)
