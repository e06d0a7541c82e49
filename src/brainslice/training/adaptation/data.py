"""Load the data of an adaptation: the bundle's network, the site's scans, and source scans against forgetting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from brainslice.array_types import Float16, Int
from brainslice.arrays import InputBatch, Labels
from brainslice.bundle import ModelBundle, open_bundle
from brainslice.config import Config
from brainslice.dataset import (
    ExternalSite,
    Manifest,
    SourceData,
    Split,
    decode_scans,
    find_split,
    read_external_site,
    site_inputs,
)
from brainslice.errors import BundleError, DatasetError
from brainslice.models import Network, NetworkConfig, build_network, weights_digest
from brainslice.paths import ProjectPaths
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress
from brainslice.training.bundle import KERAS_FILE
from brainslice.training.pipeline import content_digest
from brainslice.training.recipes.feature_cache import (
    CachedFeatures,
    FrozenFeatures,
    RandomViews,
    cache_features,
    cache_views,
    fast_frozen_part,
    grey_images,
)
from brainslice.training.task import augmentation_config

_CHECK_SCANS = 240
"""Number of source validation scans that forgetting is measured on while settings are chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationData:
    """Inputs of an adaptation: network inputs, activations at the cut, and labels.

    Attributes:
        bundle: The bundle to adapt.
        recipe: Its preprocessing.
        network: Its network; training above the cut changes it.
        site: The other site's scans.
        inputs: Their network inputs ``(n, h, w)``.
        views: Their activations at the cut: as they are, then their random views.
        replay: Activations of source training scans ``(r, ...)``, balanced over classes.
        replay_labels: Their classes ``(r,)``.
        held_out: Activations of the source's validation scans ``(v, ...)``.
        held_out_labels: Their classes ``(v,)``.
        check: Rows of the validation scans that forgetting is measured on.
    """

    bundle: ModelBundle
    recipe: Recipe
    network: Network
    site: ExternalSite
    inputs: InputBatch
    views: tuple[FrozenFeatures, ...]
    replay: Float16[np.ndarray, "r ..."]
    replay_labels: Int[np.ndarray, " r"]
    held_out: Float16[np.ndarray, "v ..."]
    held_out_labels: Int[np.ndarray, " v"]
    check: Int[np.ndarray, " checked"]


def load_adaptation_data(
    paths: ProjectPaths, config: Config, bundle: Path, folder: Path, progress: Progress
) -> AdaptationData:
    """Load the network, decode all scans and compute their activations, or read them from the caches.

    Raises:
        BundleError: The bundle is damaged, or an ensemble.
        DatasetError: The prepared set is not what the bundle was trained on, or the site's folder is invalid.
    """
    opened = open_bundle(bundle)
    manifest, split = _source(paths, opened)
    rows = np.concatenate([split.train, split.validation])
    site = read_external_site(folder, opened.labels, SourceData(manifest, rows, paths.cache), progress)
    recipe = Recipe.from_json(opened.info.recipe)
    network = _network(opened, config, recipe)
    frozen_part = fast_frozen_part(network, paths.cache, len(rows) + len(site.scans))
    inputs = site_inputs(site, recipe, progress)
    labels, held_out = manifest.label_indices, split.validation
    replay = _balanced(labels, split.train, config.adapt.replay, config.seed)
    key = (weights_digest(network.frozen_part), network.config.backbone)
    cached = CachedFeatures(paths.cache, (content_digest(manifest, recipe), *key), network.frozen_part.output.shape[1:])
    rows = np.sort(np.concatenate([replay, held_out]))
    decoded = decode_scans(manifest, recipe, paths.cache, progress)
    features = cache_features(cached, grey_images(decoded), rows, lambda scans, _: scans, frozen_part, progress)
    content = hashlib.sha256(np.ascontiguousarray(inputs).tobytes()).hexdigest()
    views = cache_views(
        replace(cached, key=(content, *key)),
        grey_images(inputs),
        (np.arange(len(inputs)), np.arange(len(inputs))),
        RandomViews(config.adapt.views if config.augment.enabled else 0, augmentation_config(config), config.seed),
        frozen_part,
        progress,
    )
    return AdaptationData(
        bundle=opened,
        recipe=recipe,
        network=network,
        site=site,
        inputs=inputs,
        views=tuple(np.array(view) for view in views),
        replay=np.array(features[replay]),
        replay_labels=labels[replay],
        held_out=np.array(features[held_out]),
        held_out_labels=labels[held_out],
        check=np.flatnonzero(np.isin(held_out, _balanced(labels, held_out, _CHECK_SCANS, config.seed))),
    )


def _source(paths: ProjectPaths, bundle: ModelBundle) -> tuple[Manifest, Split]:
    manifest, provenance = Manifest.read(paths.data), bundle.info.provenance
    split = find_split(manifest, provenance.split_digest)
    if manifest.digest != provenance.manifest_digest or split is None:
        msg = (
            f"{paths.data}: is not the set that {bundle.folder} was trained on, so forgetting cannot be measured; "
            "give the project it was trained in with --project-root"
        )
        raise DatasetError(msg)
    return manifest, split


def _network(bundle: ModelBundle, config: Config, recipe: Recipe) -> Network:
    info = bundle.info
    if info.imported:
        msg = f"{bundle.folder}: is an imported network, and only networks that brainslice trained can be adapted"
        raise BundleError(msg)
    if KERAS_FILE not in info.files:
        msg = f"{bundle.folder}: holds no {KERAS_FILE}, as ensembles do not; give the bundle of one trained network"
        raise BundleError(msg)
    keras.utils.set_random_seed(config.seed)
    network_config = NetworkConfig(
        backbone=info.backbone,
        size=recipe.size,
        classes=len(info.labels.names),
        dropout=config.model.dropout,
        weights=bundle.path(KERAS_FILE),
        seed=config.seed,
        multi_level=info.head is None and config.model.multi_level,
        head=info.head or "linear",
        healthy=bundle.labels.healthy_index,
        contralateral=info.contralateral,
    )
    return build_network(network_config)


def _balanced(labels: Labels, rows: Int[np.ndarray, " _"], count: int, seed: int) -> Int[np.ndarray, " chosen"]:
    """Draw about ``count`` rows, balanced over classes, in ascending order."""
    generator = np.random.default_rng([seed, 5])
    classes = np.unique(labels[rows])
    by_class = [generator.permutation(rows[labels[rows] == label]) for label in classes]
    return np.sort(np.concatenate([members[: max(1, count // len(classes))] for members in by_class]))
