"""Make the weights that ship from a trained bundle: the backbone without its head, in half precision.

Usage: python tools/make_shipped_weights.py BUNDLE OUT.h5
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import keras
import numpy as np

from brainslice.bundle import open_bundle
from brainslice.files import atomic_file
from brainslice.models import HEAD, NetworkConfig, build_network


def main(bundle: Path, out: Path) -> None:
    """Write the file, in the layout that Keras has always downloaded."""
    checked = open_bundle(bundle)
    info = checked.info
    plan = NetworkConfig(
        backbone=info.backbone,
        size=int(str(info.recipe["size"])),
        classes=len(info.labels.names),
        weights=checked.path("model.keras"),
    )
    layers = [layer for layer in build_network(plan).model.layers if layer.weights and layer.name != HEAD]
    with atomic_file(out) as temporary, h5py.File(temporary, "w") as store:
        store.attrs["layer_names"] = [layer.name for layer in layers]
        for layer in layers:
            write(store.create_group(layer.name), layer)


def write(group: h5py.Group, layer: keras.layers.Layer) -> None:
    """Write one layer's arrays in their order."""
    values = layer.get_weights()
    group.attrs["weight_names"] = [str(place) for place in range(len(values))]
    for place, value in enumerate(values):
        group.create_dataset(str(place), data=value.astype(np.float16), compression="gzip", shuffle=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
