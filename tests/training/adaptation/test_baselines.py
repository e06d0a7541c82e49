from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.dataset.splits.split import assign_folds
from brainslice.decision.temperature import Temperature
from brainslice.models.backbones import get_backbone
from brainslice.models.build import Network, NetworkConfig
from brainslice.paths import ProjectPaths
from brainslice.progress import silent
from brainslice.training.adaptation.baselines import (
    SourceModel,
    adapt_batchnorm,
    batchnorm_predictions,
    source_model_predictions,
)
from brainslice.training.adaptation.data import AdaptationData, load_adaptation_data
from brainslice.training.adaptation.nested_cv import SiteLabels
from small_training import SMALL, arrays_of, changed, small_network
from stand_in import config

ADAPTING = (
    "adapt.folds=3",
    "adapt.steps=4",
    "adapt.checks=2",
    "adapt.views=1",
    "adapt.replay=12",
    "adapt.batch_size=8",
)
SETTINGS = config(*SMALL, *ADAPTING)
HEALTHY = 2
NETWORK = NetworkConfig(size=64, weights=None)

pytestmark = pytest.mark.usefixtures("eager_functions")


@pytest.fixture
def data(adaptable: Path) -> AdaptationData:
    paths = ProjectPaths.of(adaptable, SETTINGS)
    return load_adaptation_data(paths, SETTINGS, paths.bundle, adaptable / "elsewhere", silent)


def folds_of(data: AdaptationData) -> tuple[np.ndarray, SiteLabels]:
    labels = SiteLabels(data.site.tumours, data.site.groups, HEALTHY)
    return assign_folds(labels.tumours.astype(np.int64), labels.groups, 3, 1), labels


def base_of(logits: np.ndarray, labels: np.ndarray, site: np.ndarray) -> SourceModel:
    return SourceModel(site, logits, labels, Temperature(1.0), 0.5, HEALTHY, 0.75)


def test_source_threshold_reaches_the_specificity() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(4, size=400)
    logits = rng.normal(size=(400, 4)) + 2 * np.eye(4)[labels]
    base = base_of(logits, labels, logits[:2])
    probabilities = 1 - np.exp(logits)[:, HEALTHY] / np.exp(logits).sum(axis=1)
    assert 0.9 <= (probabilities[labels == HEALTHY] < base.source_threshold(0.9)).mean() < 0.93


def test_thresholds_do_not_depend_on_labels_of_their_own_fold() -> None:
    rng = np.random.default_rng(2)
    labels, site = rng.integers(4, size=80), rng.normal(size=(40, 4))
    tumours = np.arange(40) % 8 < 4
    folds, mine = np.arange(40) % 4, np.arange(40) % 4 == 1
    base = base_of(rng.normal(size=(80, 4)), labels, site)
    one = source_model_predictions(base, folds, SiteLabels(tumours, np.arange(40), HEALTHY), 0.8)
    two = source_model_predictions(base, folds, SiteLabels(tumours ^ mine, np.arange(40), HEALTHY), 0.8)
    assert [each.name for each in one] == ["base", "base, source threshold", "threshold only", "temperature only"]
    for before, after in zip(one, two, strict=True):
        np.testing.assert_array_equal(before.predictions[mine], after.predictions[mine])
    assert not np.array_equal(one[2].predictions, two[2].predictions)


def test_batchnorm_predictions_restore_the_network(data: AdaptationData) -> None:
    folds, labels = folds_of(data)
    before = arrays_of(data.network)
    found = batchnorm_predictions(data, folds, labels, 0.9, silent)
    assert not changed(before, arrays_of(data.network))
    assert found.probabilities.shape == (18,)


@pytest.fixture
def network() -> Network:
    return small_network(NETWORK)


def batchnorm_model(network: Network) -> keras.Model:
    cut = network.model.get_layer(get_backbone(NETWORK.backbone).cut).output
    return keras.Model(cut, network.model.get_layer("above").output)


def activations(network: Network) -> tuple[np.ndarray, np.ndarray]:
    scans = np.random.default_rng(0).uniform(0, 255, (30, 64, 64, 1)).astype(np.float32)
    other = 0.5 * scans[::-1] + 60
    return network.frozen_part.predict_on_batch(scans), network.frozen_part.predict_on_batch(other)


def test_adapted_features_have_the_moments_of_the_source(network: Network) -> None:
    source, site = activations(network)
    normalised = batchnorm_model(network)
    wanted = normalised.predict_on_batch(source)
    before = normalised.predict_on_batch(site)
    adapt_batchnorm(network.trainable_part, source, site)
    after = normalised.predict_on_batch(site)
    assert not np.allclose(before.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(after.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(after.var((0, 1, 2)), wanted.var((0, 1, 2)), rtol=0.02)


def test_only_batchnorm_statistics_above_the_cut_change(network: Network) -> None:
    before = arrays_of(network)
    adapt_batchnorm(network.trainable_part, *activations(network))
    assert {path.split("/")[-1] for path in changed(before, arrays_of(network))} == {"moving_mean", "moving_variance"}
    assert all(path.startswith("above") for path in changed(before, arrays_of(network)))


def test_batchnorm_is_unchanged_on_the_source(network: Network) -> None:
    source, _ = activations(network)
    before = network.trainable_part.predict_on_batch(source)["logits"]
    adapt_batchnorm(network.trainable_part, source, source)
    np.testing.assert_allclose(network.trainable_part.predict_on_batch(source)["logits"], before, atol=1e-4)
