"""Build EfficientNets with a head that returns logits and class maps.

The head applies one dense layer to the unpooled features, which gives a map for each class, and pools each map to a
logit. If adding a constant to a map adds it to the logit, the gradients of the pooling sum to one over the positions,
so that gradient Grad-CAM at these features is exactly ``relu(map - bias) / (h·w)``: for mean and log-mean-exp alike.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import keras
import numpy as np

from brainslice.array_types import Float32
from brainslice.errors import ConfigError, DownloadError
from brainslice.models.backbones import Backbone, get_backbone
from brainslice.models.head import HEAD, attach_head, head_bias, is_head_layer, pool_maps, pooled_layer
from brainslice.models.weights import check_file, load_arrays

Stage: TypeAlias = Literal["head", "tail", "all"]
"""The trainable part: the head, the last blocks and the head, or everything."""

FROZEN_STAGES: Final = 5
"""The number of stages up to the layer ``cut`` of a backbone."""

_MIN_FROZEN: Final = 2

_MIN_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Settings of a network.

    Attributes:
        backbone: A name for ``get_backbone``.
        size: Rows and columns of its input, in pixels.
        classes: The number of classes.
        dropout: Dropout rate of feature channels, in ``[0, 1)``.
        weights: ``imagenet`` to download them, a local file, or None for random initialisation. A ``.keras`` file
            of a whole network with these settings includes the head; any other file holds the backbone alone.
        seed: Seed of initialisation and dropout.
        multi_level: Whether the linear head also gets the activations at the cut and at the end of the last block.
        head: ``linear``: a dense layer on the last features, class maps averaged to logits. ``pyramid``: the last
            features are upsampled and joined with those at the cut, for class maps of twice the resolution.
        healthy: Index of the healthy class, or None. With the pyramid head each class map is the difference to that
            of the healthy class, pooled by log-mean-exp, so that a small lesion decides; without a healthy class
            maps are averaged.
        contralateral: The share of the evidence for a tumour at the mirrored position that the pyramid head subtracts,
            in ``[0, 1)``; needs ``healthy``.
        precision: The number format of the backbone; the head is always float32.
        frozen_stages: How many of the backbone's first stages form the frozen part, 2 to 5.
    """

    backbone: str = "efficientnetv2-b0"
    size: int = 224
    classes: int = 4
    dropout: float = 0.2
    weights: Path | str | None = "imagenet"
    seed: int = 42
    multi_level: bool = False
    head: Literal["linear", "pyramid"] = "linear"
    healthy: int | None = None
    contralateral: float = 0.0
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    frozen_stages: int = FROZEN_STAGES

    def __post_init__(self) -> None:
        """Check the settings."""
        get_backbone(self.backbone)
        if self.size < _MIN_SIZE:
            msg = f"image_size must be at least {_MIN_SIZE} pixels, got {self.size}"
            raise ConfigError(msg)
        if self.classes < 2:  # noqa: PLR2004 - the minimum of a classifier
            msg = f"classes must be at least 2, got {self.classes}"
            raise ConfigError(msg)
        if wrong := [name for name in ("dropout", "contralateral") if not 0 <= getattr(self, name) < 1]:
            msg = f"{wrong[0]} must be in [0, 1), got {getattr(self, wrong[0])}"
            raise ConfigError(msg)
        if self.healthy is not None and not 0 <= self.healthy < self.classes:
            msg = f"healthy must be the index of a class, 0 to {self.classes - 1}, got {self.healthy}"
            raise ConfigError(msg)
        if not _MIN_FROZEN <= self.frozen_stages <= FROZEN_STAGES:
            msg = f"frozen_stages must be from {_MIN_FROZEN} to {FROZEN_STAGES}, got {self.frozen_stages}"
            raise ConfigError(msg)
        if self.head == "pyramid" and self.multi_level:
            msg = "multi_level must be false with head pyramid, which joins two levels already"
            raise ConfigError(msg)
        if isinstance(self.weights, str) and self.weights != "imagenet":
            msg = f"weights must be 'imagenet', a file or none, got {self.weights!r}"
            raise ConfigError(msg)

    @property
    def reference_class(self) -> int | None:
        """The healthy class if class maps are differences to its map, as with the pyramid head; else None."""
        return self.healthy if self.head == "pyramid" else None


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network as a whole and in two parts that share its layers.

    Attributes:
        config: Its settings.
        model: From scans ``(n, size, size, 1)``, float 0 to 255, to ``logits`` ``(n, k)`` and ``class_maps``
            ``(n, mh, mw, k)``.
        frozen_part: From the same scans to the activations at the end of the last frozen stage.
        trainable_part: From those activations to the same two outputs.
    """

    config: NetworkConfig
    model: keras.Model
    frozen_part: keras.Model
    trainable_part: keras.Model

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of a class map."""
        _, rows, columns, _ = self.model.output["class_maps"].shape
        return rows, columns

    @property
    def bias(self) -> Float32[np.ndarray, " k"]:
        """The head's bias of the class maps."""
        return head_bias(self.model)


def build_network(config: NetworkConfig) -> Network:
    """Build a network with all layers trainable; equal settings give equal arrays.

    Raises:
        ConfigError: The weights file is absent, damaged or of another architecture, or the head does not fit ``size``.
        DownloadError: ImageNet weights could not be downloaded.
    """
    if isinstance(config.weights, Path):
        check_file(config.weights)
    backbone = get_backbone(config.backbone)
    with _seeded(config.seed), precision(config.precision):
        base = _build_backbone(backbone, config)
        cut = base.get_layer(backbone.cut).output
        outputs = attach_head(config, cut, base)
        frozen = _frozen_activations(config, base)
        network = Network(
            config=config,
            model=keras.Model(base.inputs[0], outputs, name="whole"),
            frozen_part=keras.Model(base.inputs[0], frozen, name="frozen_part"),
            trainable_part=keras.Model(frozen, outputs, name="tail"),
        )
    _name_operations(network.model)
    if isinstance(config.weights, Path):
        load_arrays(network.model if config.weights.suffix == ".keras" else base, config.weights)
    set_trainable(network, "all")
    return network


def set_trainable(network: Network, stage: Stage) -> None:
    """Set the trainable layers of a stage; the model must be compiled afterwards.

    Pretrained BatchNorm layers stay frozen at every stage, because statistics of small batches are noisy. They are
    trainable in a whole network with random initialisation.
    """
    tail = {layer.name for layer in network.trainable_part.layers}
    untrained = stage == "all" and network.config.weights is None
    for layer in network.model.layers:
        trainable = stage == "all" or is_head_layer(layer.name) or (stage == "tail" and layer.name in tail)
        layer.trainable = trainable and (untrained or not isinstance(layer, keras.layers.BatchNormalization))


def pooled_features(network: Network) -> keras.Model:
    """Return the model from activations of the frozen part to feature means ``(n, c)``.

    They determine the logits of the linear head, and are the input of the out-of-distribution detector.
    """
    layer = pooled_layer(network.config.head)
    means = keras.layers.GlobalAveragePooling2D(name="features_mean", dtype="float32")
    return keras.Model(network.frozen_part.output, means(network.model.get_layer(layer).output), name="pooled")


def in_float32(network: Network) -> Network:
    """Return the network with every layer in float32, for export: itself if it is already, else a copy."""
    if network.config.precision == "float32":
        return network
    copy = build_network(replace(network.config, precision="float32", weights=None))
    copy.model.set_weights(network.model.get_weights())
    return copy


def with_contralateral(network: Network, share: float) -> Network:
    """Return a network of the same layers whose pyramid head subtracts a share of the mirrored evidence.

    Other heads, and networks without a healthy class, stay as they are.
    """
    if network.config.reference_class is None:
        return network
    config = replace(network.config, contralateral=share)
    scan, activations = network.model.inputs[0], network.frozen_part.output
    outputs = pool_maps(config, network.model.get_layer(HEAD).output)
    changed = Network(
        config=config,
        model=keras.Model(scan, outputs, name="whole"),
        frozen_part=network.frozen_part,
        trainable_part=keras.Model(activations, outputs, name="tail"),
    )
    _name_operations(changed.model)
    return changed


def _frozen_activations(config: NetworkConfig, base: keras.Model) -> keras.KerasTensor:
    """Return the output of the last layer of the last frozen stage."""
    return [layer for layer in base.layers if layer.name.startswith(f"block{config.frozen_stages}")][-1].output


def _build_backbone(backbone: Backbone, config: NetworkConfig) -> keras.Model:
    """Build the backbone on a grey input, as one flat graph, with our own normalisation."""
    scan = keras.Input((config.size, config.size, 1), name="scan")
    channels = keras.layers.Concatenate(name="colour", dtype="float32")([scan, scan, scan])
    download = config.weights == "imagenet"
    if backbone.family == "v2":
        return _from_keras(backbone, _normalisation(backbone)(channels), download=download)
    original = _from_keras(backbone, channels, download=download)
    # Family v1 includes a normalisation, whose constants may become inputs of an exported graph and differ between
    # downloaded weights and the same weights from a file: clone it with our own.
    clone = keras.models.clone_model(original, clone_function=lambda layer: _replace_normalisation(backbone, layer))
    if download:
        for layer in clone.layers:
            layer.set_weights(original.get_layer(layer.name).get_weights() if layer.weights else [])
    return clone


def _from_keras(backbone: Backbone, channels: keras.KerasTensor, *, download: bool) -> keras.Model:
    builder = getattr(keras.applications, backbone.builder)
    options = {"include_preprocessing": False} if backbone.family == "v2" else {}
    if not download:
        return builder(include_top=False, weights=None, input_tensor=channels, **options)
    try:
        return builder(include_top=False, weights="imagenet", input_tensor=channels, **options)
    except Exception as error:  # Keras raises a bare Exception if a download fails
        fault = " ".join(str(error).split())
        msg = (
            f"the ImageNet weights of {backbone.name} could not be downloaded ({fault}); check the network, "
            "or give a local file with --weights"
        )
        raise DownloadError(msg) from error


def _normalisation(backbone: Backbone) -> keras.layers.Layer:
    return keras.layers.Rescaling(backbone.scale, backbone.offset, name="normalisation", dtype="float32")


def _replace_normalisation(backbone: Backbone, layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.Normalization):
        return _normalisation(backbone)
    if isinstance(layer, keras.layers.Rescaling):
        return keras.layers.Identity(name=layer.name, dtype="float32")
    return type(layer).from_config(layer.get_config())


def _name_operations(model: keras.Model) -> None:
    """Name unnamed operations by their place; the names that Keras gives count up with every network of a process."""
    for index, operation in enumerate(model.operations):
        kind = type(operation).__name__.lower()
        if re.fullmatch(rf"{kind}\d*", operation.name.replace("_", "")):
            operation.name = f"{kind}_at_{index}"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's generator, from which Keras draws seeds of layers, and restore its state afterwards."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Set the dtype policy of layers and models made in the context, and restore the previous one afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
