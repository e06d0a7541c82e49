"""What `pip install brainslice` without extras costs, on the disk and from a cold start, beside a minimal Keras script.

Usage: python benchmarks/light_environment.py BUNDLE SCAN [--keras PYTHON] [--environment FOLDER]

Makes a virtual environment (or takes the one that lies in FOLDER), installs this project into it without extras, and
measures there: the size of every package, its files and the bytecode that pip compiles of them, with the bundle that
ships, and with and without pip and setuptools, which an environment begins with; `import brainslice`, `--help`, and
`predict` of one file, each in processes of their own, once uncounted and then ``REPEATS`` times. It ends with exit
code 1 where all files without bytecode are larger than ``MAX_BYTES``, or where predicting loads a library of the
training side. ``--keras`` names a Python that has Keras, for the other side of the comparison; it needs the bundle's
``model.keras``. Needs Linux or macOS, and pip's index or cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
MAX_BYTES = 260_000_000
BEFORE = ("pip", "setuptools")
REPEATS = 5
HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "matplotlib", "onnx", "h5py", "torch", "pandas")

VERB = """
import json, resource, sys
from brainslice.cli.main import main
try:
    main(*sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
"""
IMPORT = "import json, resource, sys, brainslice"
# What cannot be left out: no checked bundle, no calibration, no explanation.
KERAS = """
import json, resource, sys
import keras
import numpy as np
from PIL import Image

model = keras.models.load_model(sys.argv[1], compile=False)
scan = Image.open(sys.argv[2]).convert("L").resize(model.inputs[0].shape[1:3])
model.predict(np.asarray(scan, dtype="float32")[None, ..., None], verbose=0)
"""
TELL = """
used = resource.getrusage(resource.RUSAGE_SELF)
modules = sorted({name.split(".")[0] for name in sys.modules})
sys.stderr.write("\\n" + json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss, modules]) + "\\n")
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took.

    Attributes:
        wall: Seconds from its start to its end.
        processor: Seconds of all cores together.
        peak: Bytes at its largest.
        modules: What it had loaded.
    """

    wall: float
    processor: float
    peak: float
    modules: frozenset[str]


def make_environment(folder: Path) -> Path:
    """Install the project without extras, unless that was done before, and give the environment's Python."""
    if (folder / "bin" / "brainslice").exists():
        return folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--compile", PROJECT]
    subprocess.run(command, check=True)
    return python


@dataclass(frozen=True, slots=True)
class Size:
    """What a package takes on the disk, in bytes.

    Attributes:
        files: All of its files but those compiled here.
        bytecode: What pip compiled of them.
    """

    files: int = 0
    bytecode: int = 0

    def __add__(self, other: Size) -> Size:
        """Put two together."""
        return Size(self.files + other.files, self.bytecode + other.bytecode)

    def told(self, name: str) -> str:
        """Say it in a line of the table."""
        both = self.files + self.bytecode
        return f"{name:28}{self.files / 1e6:10.1f}{self.bytecode / 1e6:12.1f}{both / 1e6:10.1f}"


def size_of(paths: Iterable[Path]) -> Size:
    """Add up the bytes of files, each once however many names it has."""
    found = {path.lstat().st_ino: path for path in paths if path.is_symlink() or path.is_file()}
    compiled = sum(path.lstat().st_size for path in found.values() if path.suffix == ".pyc")
    return Size(sum(path.lstat().st_size for path in found.values()) - compiled, compiled)


def tell_sizes(place: Path) -> int:
    """Print what each package takes, the largest first, and the sums; give the bytes without bytecode, pip included."""
    (site,) = place.glob("lib/python*/site-packages")
    sizes = {
        package.metadata["Name"]: size_of(Path(str(package.locate_file(file))) for file in package.files or ())
        for package in distributions(path=[str(site)])
    }
    print(f"{'MB':28}{'files':>10}{'bytecode':>12}{'both':>10}")
    for name, size in sorted(sizes.items(), key=lambda each: each[1].files, reverse=True):
        print(size.told(name))
    everything = size_of(place.rglob("*"))
    ours = sum((size for name, size in sizes.items() if name not in BEFORE), Size())
    print(everything.told("the whole environment"))
    print(ours.told(f"without {' and '.join(BEFORE)}"))
    return everything.files


def run_once(python: Path, script: str, *words: str) -> Cost:
    """Run a script in a process of its own, in an empty folder, and ask what it took."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(
            [python, "-c", script + TELL, *words],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    processor, peak, modules = json.loads(done.stderr.splitlines()[-1])
    # Linux counts in kilobytes, macOS in bytes.
    return Cost(wall, processor, peak * (1 if sys.platform == "darwin" else 1024), frozenset(modules))


def measure(name: str, python: Path, script: str, *words: str) -> Cost:
    """Run a script several times, print the medians and give them."""
    costs = [run_once(python, script, *words) for _ in range(REPEATS + 1)][1:]
    wall, processor, peak = (
        statistics.median(getattr(cost, field) for cost in costs) for field in ("wall", "processor", "peak")
    )
    print(f"{name:28}{wall:8.2f} s{processor:10.2f} s{peak / 1e6:10.0f} MB", flush=True)
    return Cost(wall, processor, peak, costs[0].modules)


def main() -> None:
    """Measure, print, and say whether the promises hold."""
    parser = argparse.ArgumentParser(description="Size and cold start of an installation without extras.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("scan", type=Path, metavar="SCAN")
    parser.add_argument("--keras", type=Path, metavar="PYTHON", help="a Python with Keras to compare with")
    parser.add_argument("--environment", type=Path, metavar="FOLDER", help="where to make the environment, kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.environment or Path(folder) / "environment"
        python = make_environment(place)
        size = tell_sizes(place)
        print(f"without extras, pip included, bytecode apart: {size / 1e6:.0f} MB (at most {MAX_BYTES / 1e6:.0f})")
        print(f"{'':28}{'wall':>10}{'processor':>12}{'peak':>13}   (medians of {REPEATS})")
        bundle, scan = str(given.bundle.resolve()), str(given.scan.resolve())
        measure("import brainslice", python, IMPORT)
        measure("brainslice --help", python, VERB, "--help")
        cost = measure("brainslice predict SCAN", python, VERB, "predict", scan, "--bundle", bundle)
        if given.keras:
            other = measure("minimal Keras script", given.keras, KERAS, f"{bundle}/model.keras", scan)
            print(f"{'ratio':28}{other.wall / cost.wall:8.1f} x{'':12}{other.peak / cost.peak:10.1f} x")
    heavy = sorted(cost.modules & set(HEAVY))
    print(f"of {', '.join(HEAVY)} predicting loads: {', '.join(heavy) or 'none'}")
    sys.exit(1 if heavy or size > MAX_BYTES else 0)


if __name__ == "__main__":
    main()
