"""BatchNorm above the cut, moved so that another site's features get the moments of the source's.

A pretrained BatchNorm layer stays frozen in training: its statistics are those of the first weights, and the layers
after it have learnt to live with how the source's features lie in them. So a site is not given statistics of its own,
but those under which its features, once normalised, have the mean and variance that the source's have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import keras
import numpy as np
from jaxtyping import Float

from brainslice.models.losses import Tensor

_TINY = 1e-6
"""Channels that hardly vary anywhere are left as they are."""

Channels: TypeAlias = Float[np.ndarray, " channels"]
Activated: TypeAlias = Float[np.ndarray, "_ h w c"]


@dataclass(frozen=True, slots=True, eq=False)
class BatchNormMoments:
    """How the features of one layer lie on some scans.

    Attributes:
        mean: Of each channel, over scans and positions.
        variance: Likewise.
    """

    mean: Channels
    variance: Channels


Seen: TypeAlias = Callable[[keras.layers.BatchNormalization, BatchNormMoments], None]


def adapt_batchnorm(tail: keras.Model, source: Activated, site: Activated) -> None:
    """Set every BatchNorm layer above the cut for a site, layer after layer, from scans without any label.

    Where a channel has mean and variance ``m, v`` on the source, ``m', v'`` on the site, and the layer the statistics
    ``M, V``, these become ``M' = m' + (M - m)·√(v'/v)`` and ``V' = V·v'/v``: then ``(x - M')/√V'`` has on the site the
    moments that ``(x - M)/√V`` has on the source. Each layer sees the site's features as the moved layers before it
    leave them.

    Args:
        tail: The part above the cut; its BatchNorm layers change in place.
        source: Activations at the cut of some source scans.
        site: Those of some scans of the site.

    Reference:
        After Li et al., Revisiting Batch Normalization For Practical Domain Adaptation, 2016.
    """
    reached: dict[str, BatchNormMoments] = {}

    def remember(layer: keras.layers.BatchNormalization, seen: BatchNormMoments) -> None:
        reached[layer.name] = seen

    def move(layer: keras.layers.BatchNormalization, seen: BatchNormMoments) -> None:
        was, small = reached[layer.name], layer.epsilon
        ratio = (seen.variance + _TINY) / (was.variance + _TINY)
        mean = np.asarray(keras.ops.convert_to_numpy(layer.moving_mean))
        variance = np.asarray(keras.ops.convert_to_numpy(layer.moving_variance))
        layer.moving_mean.assign(seen.mean + (mean - was.mean) * np.sqrt(ratio))
        layer.moving_variance.assign(np.maximum((variance + small) * ratio - small, 0.0))

    _run(tail, source, remember)
    _run(tail, site, move)


def _run(tail: keras.Model, inputs: Activated, seen: Seen) -> None:
    """Let scans pass, and show the moments before each BatchNorm layer just before it acts."""

    def watched(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer
        window = _Watched(name=f"watched_{layer.name}")
        window.inner, window.seen = layer, seen
        return window

    copy = keras.models.clone_model(tail, clone_function=watched)
    copy(keras.ops.convert_to_tensor(inputs.astype(np.float32)), training=False)


class _Watched(keras.layers.Layer):
    """A BatchNorm layer that tells what it is about to see."""

    # Keras looks at a layer's constructor, which under test is wrapped by the shape checks: so there is none.
    inner: keras.layers.BatchNormalization
    seen: Seen

    def call(self, inputs: Tensor, mask: Tensor = None) -> Tensor:  # noqa: ARG002 - part of the call that is repeated
        mean, variance = keras.ops.moments(inputs, axes=(0, 1, 2))
        self.seen(self.inner, BatchNormMoments(keras.ops.convert_to_numpy(mean), keras.ops.convert_to_numpy(variance)))
        return self.inner(inputs, training=False)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor = None) -> keras.KerasTensor:  # noqa: ARG002 - likewise
        return keras.KerasTensor(inputs.shape, inputs.dtype)
