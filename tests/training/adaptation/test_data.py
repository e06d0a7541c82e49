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
    places = ProjectPaths.of(root, chosen)
    return load_adaptation_data(places, chosen, places.bundle, root / "elsewhere", silent)


def test_the_network_is_the_bundle_s_and_what_it_is_shown_is_as_promised(adaptable: Path) -> None:
    ground = lay(adaptable)
    manifest = Manifest.read(adaptable / "data")
    split = make_split(manifest, Protocol.CLEAN)
    assert len(ground.site.scans) == 18
    assert [len(view) for view in ground.views] == [18, 18]
    assert not np.array_equal(ground.views[0], ground.views[1])
    assert len(ground.held_out) == len(split.validation)
    np.testing.assert_array_equal(ground.held_out_labels, manifest.label_indices[split.validation])
    assert all(1 <= count <= 3 for count in np.bincount(ground.replay_labels, minlength=4))
    pictures = ground.inputs[:2, ..., np.newaxis].astype(np.float32)
    cut = ground.network.frozen_part.predict_on_batch(pictures)
    np.testing.assert_allclose(ground.views[0][:2], cut, rtol=2e-3, atol=1e-3)
    assert ground.network.config.weights == adaptable / "models" / "bundle" / "model.keras"


def test_without_augmentation_there_is_one_view(adaptable: Path) -> None:
    assert len(lay(adaptable, "augment.enabled=false").views) == 1


def test_another_set_than_the_one_it_was_trained_on_is_refused(adaptable: Path) -> None:
    manifest = Manifest.read(adaptable / "data")
    replace(manifest, records=manifest.records[1:]).write(adaptable / "data")
    with pytest.raises(DatasetError, match="keep it from forgetting"):
        lay(adaptable)


def test_a_bundle_without_one_network_is_refused(adaptable: Path) -> None:
    chosen = config()
    write_bundle_for(ProjectPaths.of(adaptable, chosen), chosen)
    with pytest.raises(BundleError, match="as ensembles do not"):
        lay(adaptable)
