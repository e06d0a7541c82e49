"""Trainings of seconds: a network of a few layers, and callbacks that interrupt and record."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from brainslice.models.backbones import get_backbone
from brainslice.models.build import Network, NetworkConfig, set_trainable
from brainslice.models.head import TOP, attach_head
from brainslice.models.weights import load_arrays
from brainslice.processes import Call, Send
from brainslice.progress import Progress
from brainslice.training.adaptation import data

SMALL = (
    "model.head=linear",
    "train.batch_size=8",
    "train.epochs=3",
    "train.freeze_backbone_epochs=1",
    "train.quick.views=1",
    "train.quick.head_epochs=2",
    "train.quick.epochs=2",
)
"""Settings of a training of seconds."""


class StoppedError(Exception):
    """Raised by a progress callback to interrupt a training."""


def interrupt_at(step: str, done: int) -> Progress:
    """Return a progress callback that raises at a number of items of a step."""

    def progress(name: str, at: int, _total: int) -> None:
        if name == step and at >= done:
            raise StoppedError

    return progress


class WeightRecorder:
    """A progress callback that copies the network's arrays at each call of one step."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.network: Network | None = None
        self.arrays: dict[str, np.ndarray] = {}

    def __call__(self, step: str, _done: int, _total: int) -> None:
        if step == self.step and self.network is not None:
            self.arrays = arrays_of(self.network)


def small_network(plan: NetworkConfig) -> Network:
    """Build a few layers in place of a backbone, with normalisation on both sides of the cut."""
    keras.utils.set_random_seed(plan.seed)
    scan = keras.Input((plan.size, plan.size, 1), name="scan")
    values = keras.layers.Rescaling(1 / 128, -1.0, name="normalisation")(scan)
    values = keras.layers.Conv2D(6, 5, 8, padding="same", activation="relu", name="first")(values)
    values = keras.layers.BatchNormalization(name="below")(values)
    cut = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name=get_backbone(plan.backbone).cut)(values)
    values = keras.layers.Conv2D(8, 3, 2, padding="same", name="last")(cut)
    values = keras.layers.BatchNormalization(name="above")(values)
    top = keras.layers.Activation("relu", name=TOP)(values)
    outputs = attach_head(plan, cut, keras.Model(scan, top))
    network = Network(
        config=plan,
        model=keras.Model(scan, outputs, name="whole"),
        frozen_part=keras.Model(scan, cut, name="frozen_part"),
        trainable_part=keras.Model(cut, outputs, name="tail"),
    )
    set_trainable(network, "all")
    return network


def arrays_of(network: Network) -> dict[str, np.ndarray]:
    """Return the arrays of a network by path."""
    return {weight.path: np.array(keras.ops.convert_to_numpy(weight)) for weight in network.model.weights}


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    """Return the names of changed arrays."""
    return {path for path, value in before.items() if not np.array_equal(value, after[path])}


def keras_frozen_part(network: Network) -> Callable[[np.ndarray], np.ndarray]:
    """Return the frozen part as a function, without exporting it."""
    return lambda views: np.asarray(network.frozen_part.predict_on_batch(views))


def rebuilt_network(plan: NetworkConfig) -> Network:
    """Build the small network and load the weights of its configuration, as ``build`` does."""
    network = small_network(plan)
    if isinstance(plan.weights, Path):
        load_arrays(network.model, plan.weights)
    return network


def use_small_network(patched: pytest.MonkeyPatch) -> None:
    """Let the small network stand in for the backbone when a bundle is opened for adapting."""
    patched.setattr(data, "build_network", rebuilt_network)
    patched.setattr(data, "fast_frozen_part", lambda network, *_: keras_frozen_part(network))


def call_with_small_network(arguments: Mapping[str, Any], send: Send) -> object:
    """Call a function of the package, in a process of its own, with a few layers as the backbone."""
    pipeline = importlib.import_module("brainslice.training.pipeline")
    pipeline.build_network = small_network
    if "ray" in sys.modules:
        send({"node": sys.modules["ray"].get_runtime_context().get_node_id()})
    module, function = arguments["function"].split(":")
    return getattr(importlib.import_module(module), function)(arguments["arguments"], send)


def small_call(function: str, arguments: Mapping[str, Any], name: str) -> Call:
    """Make the call of ``call_with_small_network``."""
    return Call(f"{__name__}:call_with_small_network", {"function": function, "arguments": arguments}, name)
