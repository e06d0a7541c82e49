"""Compare the class maps of a bundle's graph with gradient Grad-CAM of its network, and its logits with Keras.

Usage: python benchmarks/explanation_parity.py BUNDLE FOLDER_OF_SCANS [COUNT]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from brainslice.inference import Predictor, positive_class_maps
from brainslice.models import NetworkConfig, build_network, compute_gradcam, parity
from brainslice.scan import SCAN_SUFFIXES, read_scan

BATCH = 8


def main(bundle: Path, folder: Path, count: int) -> None:
    """Print the largest absolute differences over some scans, evenly spread over the folder."""
    predictor = Predictor.open(bundle)
    info = predictor.bundle.info
    found = sorted(path for path in folder.rglob("*") if path.suffix.casefold() in SCAN_SUFFIXES)
    chosen = [found[place] for place in np.linspace(0, len(found) - 1, count).astype(int)]
    inputs = np.stack([predictor.recipe(read_scan(path)) for path in chosen])
    plan = NetworkConfig(
        backbone=info.backbone,
        size=predictor.recipe.size,
        classes=len(info.labels.names),
        weights=predictor.bundle.path("model.keras"),
    )
    network = build_network(plan)

    def run(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        output = predictor.score(batch)
        return output.logits, output.class_maps

    distance = parity(network, run, inputs)
    output = predictor.score(inputs)
    classes = output.logits.argmax(axis=1)
    heat = [positive_class_maps(maps, info.class_map_bias) for maps in output.class_maps]
    ours = np.stack([each[..., label] for each, label in zip(heat, classes, strict=True)])
    # Gradients keep every activation of a batch in memory: a few scans at a time.
    parts = [slice(start, start + BATCH) for start in range(0, len(inputs), BATCH)]
    oracle = np.concatenate([compute_gradcam(network, inputs[part], classes[part]) for part in parts])
    scale = np.maximum(oracle.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    print(f"{len(chosen)} scans of {folder}")
    print(f"ONNX and Keras: logits differ by at most {distance.logits:.2e}, class maps by {distance.class_maps:.2e}")
    print(
        f"class maps and gradient Grad-CAM, scaled to a peak of 1: at most {np.abs((ours - oracle) / scale).max():.2e}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 200)  # noqa: PLR2004 - words
