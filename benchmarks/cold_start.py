"""How long one scan takes from a cold start: this package against a minimal Keras script, on the same bundle.

Usage: python benchmarks/cold_start.py BUNDLE SCAN

Each side runs in processes of its own, first once uncounted, so that bytecode is compiled and files are cached, and
then ``REPEATS`` times in turn. Told are the medians of wall time and of peak memory, and their ratios: those carry
over to other machines. Needs Linux or macOS, and Keras for the other side.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPEATS = 3

OURS = """
import resource, sys
from pathlib import Path
from brainslice.inference.predictor import Predictor

answer = Predictor.open(Path(sys.argv[1])).predict(Path(sys.argv[2]))
answer.heat
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

# No verified bundle, no calibration and no explanation: only what cannot be left out.
KERAS = """
import resource, sys
from pathlib import Path
import keras
import numpy as np
from PIL import Image

model = keras.models.load_model(Path(sys.argv[1]) / "model.keras", compile=False)
size = model.inputs[0].shape[1:3]
scan = Image.open(sys.argv[2]).convert("L").resize(size)
model.predict(np.asarray(scan, dtype="float32")[None, ..., None], verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: seconds from start to end, and bytes at its largest."""

    wall: float
    peak: float


def run_once(script: str, bundle: Path, scan: Path) -> Cost:
    """Run one side in a process of its own."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", script, str(bundle), str(scan)]
    start = time.perf_counter()
    # The command is this very interpreter with a script from above.
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - own
    wall = time.perf_counter() - start
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, float(done.stdout.split()[-1]) * unit)


def middle(costs: list[Cost]) -> Cost:
    """Give the median of each cost by itself."""
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.peak for cost in costs))


def main() -> None:
    """Measure both sides in turn and print what they took."""
    parser = argparse.ArgumentParser(description="Cold start: brainslice against a minimal Keras script.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("scan", type=Path, metavar="SCAN")
    given = parser.parse_args()
    costs: dict[str, list[Cost]] = {OURS: [], KERAS: []}
    for repeat in range(REPEATS + 1):
        for script, found in costs.items():
            cost = run_once(script, given.bundle, given.scan)
            if repeat > 0:
                found.append(cost)
    ours, keras = middle(costs[OURS]), middle(costs[KERAS])
    print(f"{'':12}{'wall':>10}{'peak':>12}")
    for name, cost in (("brainslice", ours), ("Keras", keras)):
        print(f"{name:12}{cost.wall:8.2f} s{cost.peak / 1e6:9.0f} MB")
    print(f"{'ratio':12}{keras.wall / ours.wall:9.1f}x{keras.peak / ours.peak:11.1f}x   (median of {REPEATS})")


if __name__ == "__main__":
    main()
