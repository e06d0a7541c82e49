"""What an adaptation stands on: the bundle's network, the site's scans, and source scans to remember by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from jaxtyping import Float16, Int

from brainslice.arrays import InputBatch, Labels
from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.config import Config
from brainslice.dataset.cache import decode_scans
from brainslice.dataset.external_site import ExternalSite, SourceData, read_external_site, site_inputs
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Split
from brainslice.dataset.splits.split_assignment import find_split
from brainslice.errors import BundleError, DatasetError
from brainslice.models.augmentation import augmentation, reseed
from brainslice.models.build import Network, NetworkConfig, build
from brainslice.models.weights import weights_digest
from brainslice.paths import ProjectPaths
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress
from brainslice.training.bundle import KERAS_FILE
from brainslice.training.pipeline import content_digest
from brainslice.training.recipes.feature_cache import (
    CachedFeatures,
    FrozenFeatures,
    Trunk,
    Views,
    cache_features,
    grey_pictures,
)
from brainslice.training.recipes.frozen_features import fast_frozen_part
from brainslice.training.task import augmentation_config

_CHECKED = 240
"""Source validation scans on which forgetting is watched while settings are chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationData:
    """All that adapting needs, decoded and carried up to the cut.

    Attributes:
        bundle: What is adapted.
        recipe: How its network sees a scan.
        network: Its network; training above the cut changes it.
        site: The other site's scans.
        inputs: Those as the network sees them ``(n, h, w)``.
        views: Their activations at the cut: as they are, then their random views.
        replay: Activations of source training scans ``(r, ...)``, as many of each class as there are.
        replay_labels: Their classes ``(r,)``.
        held_out: Activations of the source's validation scans ``(v, ...)``.
        held_out_labels: Their classes ``(v,)``.
        check: Places among the validation scans on which forgetting is watched.
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


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    manifest: Manifest
    split: Split


def load_adaptation_data(
    places: ProjectPaths, config: Config, bundle: Path, folder: Path, progress: Progress
) -> AdaptationData:
    """Gather everything, from the caches where it is there already.

    Args:
        places: The project that the bundle was trained in: its scans are what must not be forgotten.
        config: All settings.
        bundle: The bundle's folder.
        folder: The other site's scans.
        progress: Hears how far it is.

    Raises:
        BundleError: The bundle is damaged, or an ensemble.
        DatasetError: The prepared set is not what the bundle was trained on, or the site's folder is of no use.
    """
    opened = open_bundle(bundle)
    origin = _origin(places, opened)
    seen = np.concatenate([origin.split.train, origin.split.validation])
    site = read_external_site(folder, opened.labels, SourceData(origin.manifest, seen, places.cache), progress)
    recipe = Recipe.from_json(opened.info.recipe)
    network = _network(opened, config, recipe)
    trunk = fast_frozen_part(network, places.cache)
    inputs = site_inputs(site, recipe, progress)
    labels = origin.manifest.label_indices
    replay = _some_of_each(labels, origin.split.train, config.adapt.replay, config.seed)
    held_out = origin.split.validation
    shelf = _shelf(places, network, (content_digest(origin.manifest, recipe),))
    rows = np.sort(np.concatenate([replay, held_out]))
    decoded = decode_scans(origin.manifest, recipe, places.cache, progress)
    known = cache_features(shelf, grey_pictures(decoded), rows, lambda scans, _: scans, trunk, progress)
    return AdaptationData(
        bundle=opened,
        recipe=recipe,
        network=network,
        site=site,
        inputs=inputs,
        views=_views(inputs, _Looking(places, config, network, trunk, progress)),
        replay=np.array(known[replay]),
        replay_labels=labels[replay],
        held_out=np.array(known[held_out]),
        held_out_labels=labels[held_out],
        check=np.flatnonzero(np.isin(held_out, _some_of_each(labels, held_out, _CHECKED, config.seed))),
    )


def _origin(places: ProjectPaths, bundle: ModelBundle) -> _Origin:
    manifest, provenance = Manifest.read(places.data), bundle.info.provenance
    split = find_split(manifest, provenance.split_digest)
    if manifest.digest != provenance.manifest_digest or split is None:
        msg = (
            f"{places.data}: is not the set that {bundle.folder} was trained on, so nothing could keep it from "
            "forgetting; give the project it was trained in with --project-root"
        )
        raise DatasetError(msg)
    return _Origin(manifest, split)


def _network(bundle: ModelBundle, config: Config, recipe: Recipe) -> Network:
    info = bundle.info
    if KERAS_FILE not in info.files:
        msg = f"{bundle.folder}: holds no {KERAS_FILE}, as ensembles do not; give the bundle of one trained network"
        raise BundleError(msg)
    keras.utils.set_random_seed(config.seed)
    plan = NetworkConfig(
        backbone=info.backbone,
        size=recipe.size,
        classes=len(info.labels.names),
        dropout=config.model.dropout,
        weights=bundle.path(KERAS_FILE),
        seed=config.seed,
        multi_level=info.head is None and config.model.multi_level,
        head=info.head or "linear",
        healthy=bundle.labels.healthy_index,
    )
    return build(plan)


@dataclass(frozen=True, slots=True, eq=False)
class _Looking:
    places: ProjectPaths
    config: Config
    network: Network
    trunk: Trunk
    progress: Progress


def _views(inputs: InputBatch, looking: _Looking) -> tuple[FrozenFeatures, ...]:
    config = looking.config
    plan = augmentation_config(config)
    chance = augmentation(plan, config.seed)
    content = hashlib.sha256(np.ascontiguousarray(inputs).tobytes()).hexdigest()
    views = []
    for number in range(1 + (config.adapt.views if config.augment.enabled else 0)):
        drawn = (config.seed, number, repr(plan)) if number else ()
        shelf = _shelf(looking.places, looking.network, (content, *drawn))

        def look(scans: Views, block: int, number: int = number) -> Views:
            if number == 0:
                return scans
            reseed(chance, (config.seed, number, block))
            return np.asarray(chance(scans, training=True))

        rows = np.arange(len(inputs))
        views.append(
            np.array(cache_features(shelf, grey_pictures(inputs), rows, look, looking.trunk, looking.progress))
        )
    return tuple(views)


def _shelf(places: ProjectPaths, network: Network, key: tuple[str | int, ...]) -> CachedFeatures:
    content, *drawn = key
    shape = tuple(network.frozen_part.output.shape[1:])
    return CachedFeatures(
        places.cache, (content, weights_digest(network.frozen_part), network.config.backbone, *drawn), shape
    )


def _some_of_each(labels: Labels, rows: Int[np.ndarray, " _"], count: int, seed: int) -> Int[np.ndarray, " chosen"]:
    """Choose about ``count`` rows, as many of each class as there are, ascending."""
    generator = np.random.default_rng([seed, 5])
    classes = np.unique(labels[rows])
    by_class = [generator.permutation(rows[labels[rows] == label]) for label in classes]
    return np.sort(np.concatenate([members[: max(1, count // len(classes))] for members in by_class]))
