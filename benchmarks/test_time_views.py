"""Whether looking at each scan in several views helps, on the validation scans of a project's bundle.

The validation scans chose the temperature without views, which favours going without; test scans are not touched.

Usage: python benchmarks/test_time_views.py PROJECT [BUNDLE]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from brainslice.config import Config
from brainslice.dataset import Manifest, decode_scans
from brainslice.decision import fit_temperature
from brainslice.evaluation import member_split
from brainslice.inference import VIEWS, Predictor, with_test_time_augmentation
from brainslice.metrics import (
    bin_by_confidence,
    clustered_bootstrap,
    expected_calibration_error,
    negative_log_likelihood,
    resample,
)
from brainslice.paths import ProjectPaths


def main() -> None:
    """Score the validation scans once plainly and once in all views."""
    root = Path(sys.argv[1])
    places = ProjectPaths.of(root, Config(), "clean")
    predictor = Predictor.open(Path(sys.argv[2]) if len(sys.argv) > 2 else places.bundle)  # noqa: PLR2004
    manifest = Manifest.read(places.data)
    info = predictor.bundle.info
    rows = member_split(predictor.bundle.folder, info.provenance.split_digest, manifest).validation
    inputs = decode_scans(manifest, predictor.recipe, places.cache)[rows]
    labels, groups = manifest.label_indices[rows], manifest.group_indices[rows]
    print(f"{info.name} ({info.digest[:12]}): n = {len(rows)} validation scans of {len(np.unique(groups))} groups")
    right = []
    for name, one in (("as they are", predictor), (f"{len(VIEWS)} views", with_test_time_augmentation(predictor))):
        start = time.perf_counter()
        logits = one.score(inputs).logits
        seconds = time.perf_counter() - start
        probabilities = one.temperature.probabilities(logits)
        right.append((probabilities.argmax(axis=1) == labels).astype(float))
        ece = expected_calibration_error(bin_by_confidence(probabilities, labels, 15))
        nll = negative_log_likelihood(probabilities, labels)
        own = fit_temperature(logits, labels).value
        print(
            f"{name}: accuracy {right[-1].mean():.4f}, NLL {nll:.4f}, ECE {ece:.4f} at temperature "
            f"{one.temperature.value:.3f}; its own would be {own:.3f}; {len(rows) / seconds:.1f} scans/s"
        )
    gap = right[1] - right[0]
    parts = np.column_stack([gap, np.ones(len(gap))])
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, resample(groups, 0))
    bounds = "" if interval is None else f" [{interval.low:+.4f}, {interval.high:+.4f}]"
    print(f"accuracy gained: {gap.mean():+.4f}{bounds}")


if __name__ == "__main__":
    main()
