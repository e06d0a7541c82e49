from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.errors import BundleError, DatasetError
from brainslice.paths import ProjectPaths
from brainslice.progress import silent
from brainslice.training.adaptation.data import AdaptationData, load_adaptation_data
from small_training import SMALL
from stand_in import config, write_bundle_for

ADAPTING = ("adapt.folds=3", "adapt.views=1", "adapt.replay=12")


def lay(root: Path, *words: str) -> AdaptationData:
    chosen = config(*SMALL, *ADAPTING, *words)
    paths = ProjectPaths.of(root, chosen)
    return load_adaptation_data(paths, chosen, paths.bundle, root / "elsewhere", silent)


def test_network_and_arrays_of_the_data(adaptable: Path) -> None:
    data = lay(adaptable)
    manifest = Manifest.read(adaptable / "data")
    split = make_split(manifest, Protocol.CLEAN)
    assert len(data.site.scans) == 18
    assert [len(view) for view in data.views] == [18, 18]
    assert not np.array_equal(data.views[0], data.views[1])
    assert len(data.held_out) == len(split.validation)
    np.testing.assert_array_equal(data.held_out_labels, manifest.label_indices[split.validation])
    assert all(1 <= count <= 3 for count in np.bincount(data.replay_labels, minlength=4))
    images = data.inputs[:2, ..., np.newaxis].astype(np.float32)
    cut = data.network.frozen_part.predict_on_batch(images)
    np.testing.assert_allclose(data.views[0][:2], cut, rtol=2e-3, atol=1e-3)
    assert data.network.config.weights == adaptable / "models" / "bundle" / "model.keras"


def test_without_augmentation_there_is_one_view(adaptable: Path) -> None:
    assert len(lay(adaptable, "augment.enabled=false").views) == 1


def test_other_set_raises(adaptable: Path) -> None:
    manifest = Manifest.read(adaptable / "data")
    replace(manifest, records=manifest.records[1:]).write(adaptable / "data")
    with pytest.raises(DatasetError, match="forgetting cannot be measured"):
        lay(adaptable)


def test_bundle_without_keras_file_raises(adaptable: Path) -> None:
    chosen = config()
    write_bundle_for(ProjectPaths.of(adaptable, chosen), chosen)
    with pytest.raises(BundleError, match="as ensembles do not"):
        lay(adaptable)
