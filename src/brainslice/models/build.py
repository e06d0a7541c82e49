"""EfficientNet with a head that returns logits and class maps from one pass.

The head applies one dense layer to the unpooled features, which gives one map a class, and pools each map to a logit. A
pooling under which adding a constant to a map adds it to the logit has gradients that sum to one over the positions.
So gradient Grad-CAM at these features is ``relu(map - bias) / (h·w)`` exactly, for the mean and for log-mean-exp alike.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import keras
import numpy as np
from jaxtyping import Float32

from brainslice.errors import ConfigError, DownloadError
from brainslice.models.backbones import Backbone, get_backbone
from brainslice.models.head import attach_head, head_bias, is_head_layer, pooled_layer
from brainslice.models.weights import check_file, load_arrays

Stage: TypeAlias = Literal["head", "tail", "all"]
"""What training may change: the head alone, the last blocks and the head, or everything."""

_LEAST_SIZE = 32


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What a network shall be.

    Attributes:
        backbone: A name that ``get_backbone`` knows.
        size: Rows and columns of its input, in pixels.
        classes: How many classes it tells apart.
        dropout: The share of feature channels left out in training, in ``[0, 1)``.
        weights: ``imagenet`` to download them, a local file, or None to start from chance. A ``.keras`` file
            of a whole network of this plan brings its head along; any other file holds the backbone alone.
        seed: Where every random draw of the building and of the dropout starts.
        multi_level: Whether the linear head also sees the activations at the cut and at the end of the last block.
        head: ``linear``: a dense layer on the last features, class maps averaged to logits. ``pyramid``: the last
            features are upsampled and joined with those at the cut, which gives class maps of twice the resolution.
        healthy: Index of the healthy class, or None. With the pyramid head each class map is the difference to that
            of the healthy class, pooled by log-mean-exp, so that a small lesion decides; without a healthy class
            maps are averaged.
        precision: The number format of the backbone; the head is always float32.
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
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse networks that cannot be."""
        get_backbone(self.backbone)
        if self.size < _LEAST_SIZE:
            msg = f"image_size must be at least {_LEAST_SIZE} pixels, got {self.size}"
            raise ConfigError(msg)
        if self.classes < 2:  # noqa: PLR2004 - two is the least choice
            msg = f"a network must tell at least two classes apart, got {self.classes}"
            raise ConfigError(msg)
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be in [0, 1), got {self.dropout}"
            raise ConfigError(msg)
        if self.healthy is not None and not 0 <= self.healthy < self.classes:
            msg = f"healthy must be the index of a class, 0 to {self.classes - 1}, got {self.healthy}"
            raise ConfigError(msg)
        if self.head == "pyramid" and self.multi_level:
            msg = "multi_level must be false with head pyramid, which joins two levels already"
            raise ConfigError(msg)
        if isinstance(self.weights, str) and self.weights != "imagenet":
            msg = f"weights must be 'imagenet', a file or none, got {self.weights!r}"
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One network, whole and in two halves that share its layers.

    Attributes:
        config: What it was built from.
        model: From scans ``(n, size, size, 1)``, float 0 to 255, to ``logits`` ``(n, k)`` and ``class_maps``
            ``(n, mh, mw, k)``.
        frozen_part: From the same scans to the activations at the cut.
        trainable_part: From the activations at the cut to the same two outputs.
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
        """What the head adds to every class map, whatever the scan."""
        return head_bias(self.model)


def build(plan: NetworkConfig) -> Network:
    """Build a network, ready to be trained as a whole.

    The same plan gives the same arrays, whatever was built before.

    Raises:
        ConfigError: The weights file is absent, damaged or of another architecture, or ``size`` allows no
            multi-level features.
        DownloadError: ImageNet weights could not be fetched.
    """
    if isinstance(plan.weights, Path):
        check_file(plan.weights)
    backbone = get_backbone(plan.backbone)
    with _repeatable(plan.seed), precision(plan.precision):
        grown = _grow(backbone, plan)
        cut = grown.get_layer(backbone.cut).output
        outputs = attach_head(plan, cut, grown)
        network = Network(
            config=plan,
            model=keras.Model(grown.inputs[0], outputs, name="whole"),
            frozen_part=keras.Model(grown.inputs[0], cut, name="trunk"),
            trainable_part=keras.Model(cut, outputs, name="tail"),
        )
    if isinstance(plan.weights, Path):
        load_arrays(network.model if plan.weights.suffix == ".keras" else grown, plan.weights)
    set_trainable(network, "all")
    return network


def set_trainable(network: Network, stage: Stage) -> None:
    """Choose what training may change; a model must be compiled afterwards.

    Pretrained BatchNorm layers stay frozen at every stage: they keep ImageNet's statistics, because those of one small
    batch of scans are noise. Where a whole network starts from chance there is nothing to keep, and they learn.

    Args:
        network: The network.
        stage: The ``head`` alone, the ``tail`` (last blocks and head), or ``all``.
    """
    tail = {layer.name for layer in network.trainable_part.layers}
    from_chance = stage == "all" and network.config.weights is None
    for layer in network.model.layers:
        wanted = stage == "all" or is_head_layer(layer.name) or (stage == "tail" and layer.name in tail)
        layer.trainable = wanted and (from_chance or not isinstance(layer, keras.layers.BatchNormalization))


def pooled_features(network: Network) -> keras.Model:
    """Give the part from the activations at the cut to the spatial means ``(n, c)`` of what the head starts from.

    The linear head needs no more than these: its logits are means over positions. The gate against scans of another
    kind is fitted on them.
    """
    layer = pooled_layer(network.config.head)
    cut = network.model.get_layer(get_backbone(network.config.backbone).cut).output
    means = keras.layers.GlobalAveragePooling2D(name="features_mean", dtype="float32")
    return keras.Model(cut, means(network.model.get_layer(layer).output), name="pooled")


def in_float32(network: Network) -> Network:
    """Give the same network with every layer in float32, as exporting needs it.

    Returns:
        The network itself where it is in float32 already, else a copy of it.
    """
    if network.config.precision == "float32":
        return network
    copy = build(replace(network.config, precision="float32", weights=None))
    copy.model.set_weights(network.model.get_weights())
    return copy


def _grow(backbone: Backbone, plan: NetworkConfig) -> keras.Model:
    """Build the backbone on a grey input, from one flat graph, with our own normalisation in front."""
    scan = keras.Input((plan.size, plan.size, 1), name="scan")
    colour = keras.layers.Concatenate(name="colour", dtype="float32")([scan, scan, scan])
    download = plan.weights == "imagenet"
    if backbone.family == "v2":
        return _from_keras(backbone, _normalisation(backbone)(colour), download=download)
    original = _from_keras(backbone, colour, download=download)
    # The first family cannot be built without its normalisation, whose constants become inputs of an exported
    # graph and differ between weights downloaded and the same weights from a file: grow it again with ours.
    clone = keras.models.clone_model(original, clone_function=lambda layer: _with_ours(backbone, layer))
    if download:
        for layer in clone.layers:
            layer.set_weights(original.get_layer(layer.name).get_weights() if layer.weights else [])
    return clone


def _from_keras(backbone: Backbone, colour: keras.KerasTensor, *, download: bool) -> keras.Model:
    builder = getattr(keras.applications, backbone.builder)
    bare = {"include_preprocessing": False} if backbone.family == "v2" else {}
    if not download:
        return builder(include_top=False, weights=None, input_tensor=colour, **bare)
    try:
        return builder(include_top=False, weights="imagenet", input_tensor=colour, **bare)
    except Exception as error:  # keras raises it bare when a download fails
        fault = " ".join(str(error).split())
        msg = (
            f"the ImageNet weights of {backbone.name} could not be downloaded ({fault}); check the network, "
            "or give a local file with --weights"
        )
        raise DownloadError(msg) from error


def _normalisation(backbone: Backbone) -> keras.layers.Layer:
    return keras.layers.Rescaling(backbone.scale, backbone.offset, name="normalisation", dtype="float32")


def _with_ours(backbone: Backbone, layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.Normalization):
        return _normalisation(backbone)
    if isinstance(layer, keras.layers.Rescaling):
        return keras.layers.Identity(name=layer.name, dtype="float32")
    return type(layer).from_config(layer.get_config())


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Let Keras draw the seeds of its own layers from ours, and leave Python's generator as it was."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Let every layer and model made inside compute in a number format, and restore the previous one after."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
