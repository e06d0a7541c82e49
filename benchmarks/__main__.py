"""Measure this package beside what a user would pick instead; every ratio comes from alternating runs of one call.

Usage: python -m benchmarks [ROW ...] [--images FOLDER] [--volume FILE] [--weights FILE]
           [--drawn N] [--rounds N] [--output FILE]

Sides run in processes of their own, peers in environments of their own that are made when first needed. Each row is
the median of the ratios of pairs, with the smallest and the largest; a ratio of wall time, and one of CPU time, which
suffers less from what else the machine does. Needs the train extra, Linux or macOS, and pip for the peers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "src" / "brainslice" / "default_bundle"
PACKAGES = {
    "torch": ("torch==2.14.1", "timm==1.0.31", "grad-cam==1.5.7"),
    "runtimes": (
        "onnxruntime==1.32.0",
        "openvino==2026.4.1",
        "pillow==13.0.0",
        "imagehash==4.3.2",
        "cleanvision==0.3.7",
    ),
}
"""What is installed into the environment of each kind of peer; ``here`` is this interpreter."""

NEEDED = {"volume": "volume", "time_to_f1": "weights", "time_to_f1_default": "weights", "audit_drawn": "drawn"}
"""The option that a row needs."""

SUFFIXES = (".png", ".jpg", ".jpeg")
FEW = 16
DRAWN_SLICES = 10
SMALL_BATCH = 16


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a function in a file beside this one, and the environment it runs in."""

    function: str
    environment: str = "here"


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison of our side with a peer's.

    Attributes:
        title: What is compared.
        ours: Our side.
        peer: The other side.
        bound: The target: our cost over the peer's at ``most``, or the peer's cost over ours at ``least``.
        target: The ratio to reach.
        cold: Whether each run is a process of its own, of which memory is measured too.
        settings: Settings of this row.
        once: Whether one pair is run, without a first one to fill caches, since a run takes a minute or more.
    """

    title: str
    ours: Side
    peer: Side
    bound: Literal["most", "least"]
    target: float
    cold: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    once: bool = False


ROWS = {
    "cold_keras": Row(
        "one scan cold / Keras script", Side("ours:cold"), Side("keras_sides:cold"), "least", 20, cold=True
    ),
    "cold_bare": Row(
        "one scan cold / bare ONNX Runtime",
        Side("ours:cold"),
        Side("runtime_sides:cold", "runtimes"),
        "most",
        1.5,
        cold=True,
    ),
    "help": Row("--help / argparse", Side("ours:help_text"), Side("other_sides:argparse_help"), "most", 4, cold=True),
    "warm_bare": Row(
        "warm scan / bare ONNX Runtime, ready tensor",
        Side("ours:warm"),
        Side("runtime_sides:warm_onnxruntime", "runtimes"),
        "most",
        1.10,
    ),
    "warm_keras": Row("warm scan / model.predict", Side("ours:warm"), Side("keras_sides:warm"), "least", 4),
    "warm_timm": Row("warm scan / timm eager", Side("ours:warm"), Side("torch_sides:warm", "torch"), "least", 1.5),
    "explanation": Row(
        "prediction with heat map / without", Side("ours:warm_explained"), Side("ours:warm"), "most", 1.03
    ),
    "explanation_torch": Row(
        "explained scan / pytorch-grad-cam",
        Side("ours:warm_explained"),
        Side("torch_sides:explained", "torch"),
        "least",
        3,
    ),
    "folder_onnxruntime": Row(
        "folder of scans / ONNX Runtime, ready tensors",
        Side("ours:folder"),
        Side("runtime_sides:folder_onnxruntime", "runtimes"),
        "least",
        0.95,
    ),
    "folder_openvino": Row(
        "folder of scans / OpenVINO, ready tensors",
        Side("ours:folder"),
        Side("runtime_sides:folder_openvino", "runtimes"),
        "least",
        0.95,
    ),
    "dropout": Row(
        "100 dropout draws / 100 passes", Side("ours:dropout_draws"), Side("ours:dropout_passes"), "least", 50
    ),
    "ensemble": Row(
        "ensemble of 5 / shared frozen part and 5 parts apart",
        Side("ours:ensemble"),
        Side("ours:ensemble_parts"),
        "most",
        1.05,
    ),
    "feeding": Row(
        "feeding an epoch / image_dataset_from_directory, cached",
        Side("ours:feeding"),
        Side("keras_sides:feeding"),
        "least",
        5,
    ),
    "step_fit": Row("training step / fit", Side("ours:step"), Side("keras_sides:step"), "most", 1.03),
    "step_timm": Row("training step / timm eager", Side("ours:step"), Side("torch_sides:step", "torch"), "least", 1),
    "frozen_epoch": Row(
        "epoch of the frozen stage / fit, frozen backbone",
        Side("ours:frozen_epoch"),
        Side("keras_sides:frozen_epoch"),
        "least",
        50,
    ),
    "audit_hash": Row(
        "audit / imagehash with mirrors, all pairs",
        Side("ours:audit"),
        Side("other_sides:perceptual_hash", "runtimes"),
        "most",
        3,
    ),
    "audit_cleanvision": Row(
        "audit / cleanvision", Side("ours:audit"), Side("other_sides:cleanvision", "runtimes"), "most", 3
    ),
    "audit_whole": Row(
        "audit of all pictures / imagehash with mirrors",
        Side("ours:audit_whole"),
        Side("other_sides:perceptual_hash_whole", "runtimes"),
        "most",
        3,
        once=True,
    ),
    "audit_growth": Row(
        "audit, a picture of all / of a tenth",
        Side("ours:audit_whole"),
        Side("ours:audit_tenth"),
        "most",
        1.3,
        once=True,
    ),
    "audit_drawn": Row(
        "audit of drawn heads, a picture of all / of a tenth",
        Side("ours:audit_drawn"),
        Side("ours:audit_drawn_tenth"),
        "most",
        1.3,
        once=True,
    ),
    "time_to_f1": Row(
        "prepared folder to validation macro F1 .88, linear head / tutorial",
        Side("ours:time_to_f1"),
        Side("keras_sides:time_to_f1"),
        "least",
        10,
        settings={"overrides": ["model.head=linear", "train.quick.views=0", "train.lesion.weight=0"]},
        once=True,
    ),
    "time_to_f1_default": Row(
        "the same, default settings / tutorial",
        Side("ours:time_to_f1"),
        Side("keras_sides:time_to_f1"),
        "least",
        10,
        settings={"overrides": []},
        once=True,
    ),
    "volume": Row("volume / its slices one by one", Side("ours:volume"), Side("ours:volume_slices"), "least", 1.5),
    "service_1": Row(
        "service, 1 client / ONNX Runtime, one a call",
        Side("ours:service"),
        Side("runtime_sides:one_a_call", "runtimes"),
        "least",
        0.9,
        settings={"clients": 1},
    ),
    "service_8": Row(
        "service, 8 clients / ONNX Runtime, one a call",
        Side("ours:service"),
        Side("runtime_sides:one_a_call", "runtimes"),
        "least",
        1.3,
        settings={"clients": 8},
    ),
    "service_32": Row(
        "service, 32 clients / ONNX Runtime, one a call",
        Side("ours:service"),
        Side("runtime_sides:one_a_call", "runtimes"),
        "least",
        1.3,
        settings={"clients": 32},
    ),
    "service_slowest": Row(
        "service, 32 clients, 99th percentile of the response time / time of a full queue",
        Side("ours:service_slowest"),
        Side("ours:service_bound"),
        "most",
        1,
        settings={"clients": 32},
    ),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a unit of work: wall and CPU seconds, and peak bytes of a cold process."""

    wall: float
    processor: float
    peak: float = 0.0


class Python:
    """The interpreters of the environments; peers' are made when first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, name: str) -> Path:
        """Return an environment's interpreter."""
        if name == "here":
            return Path(sys.executable)
        place, python = self._folder / name, self._folder / name / "bin" / "python"
        done = place / "complete"
        if not done.exists():
            print(f"installing {', '.join(PACKAGES[name])}", flush=True)
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[name]]
            subprocess.run(command, check=True)
            done.touch()
        return python


def command(side: Side, python: Python, settings: dict[str, Any]) -> list[str]:
    """Return the command that runs a side."""
    return [str(python.of(side.environment)), str(HERE / "worker.py"), side.function, json.dumps(settings)]


def environment() -> dict[str, str]:
    """Return the variables of the sides: no GPU, and bytecode as after an installation."""
    left_out = {"PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}
    variables = {name: value for name, value in os.environ.items() if name not in left_out}
    return variables | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def run_cold(words: Sequence[str]) -> Cost:
    """Run a side in a process of its own and return its whole cost."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*words, "--once"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {' '.join(words)[:300]}")
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


class Worker:
    """A side that stays loaded and runs once for each line it gets."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        self._line("ready")

    def run(self) -> Cost:
        """Run once and return the cost of a unit."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        cost = json.loads(self._line("cost "))
        return Cost(cost["wall"] / cost["units"], cost["processor"] / cost["units"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _line(self, start: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(start):
                return line.removeprefix(start)
        _, errors = self._process.communicate()
        sys.exit(f"a side ended: {errors[-1500:]}")


@contextlib.contextmanager
def runners(row: Row, python: Python, settings: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the functions that run our side and the peer's, each once more for each call."""
    words = [command(side, python, settings) for side in (row.ours, row.peer)]
    if row.cold:
        yield (lambda: run_cold(words[0])), (lambda: run_cold(words[1]))
        return
    workers = [Worker(each) for each in words]
    try:
        yield workers[0].run, workers[1].run
    finally:
        for worker in workers:
            worker.close()


def measure(row: Row, python: Python, settings: dict[str, Any], rounds: int) -> dict[str, dict[str, float]]:
    """Run both sides in turn, and return the ratios of each pair of runs: median, smallest, largest."""
    pairs: list[tuple[Cost, Cost]] = []
    with runners(row, python, settings | row.settings) as (ours, peer):
        for number in range(1 if row.once else rounds + 1):
            # The first of several pairs, which fills caches, is not counted; the order alternates.
            pair = (ours(), peer()) if number % 2 else tuple(reversed((peer(), ours())))
            pairs += [pair] if number or row.once else []
    ratios = {}
    for name in ("wall", "processor", *(("peak",) if row.cold else ())):
        found = [getattr(one, name) / getattr(other, name) for one, other in pairs]
        found = sorted(found if row.bound == "most" else (1 / each for each in found))
        ratios[name] = {
            "value": round(statistics.median(found), 3),
            "low": round(found[0], 3),
            "high": round(found[-1], 3),
        }
    ratios["ours_ms"] = {"value": round(1000 * statistics.median(ours.wall for ours, _ in pairs), 2)}
    ratios["peer_ms"] = {"value": round(1000 * statistics.median(peer.wall for _, peer in pairs), 2)}
    return ratios


def prepare(given: argparse.Namespace, scratch: Path, python: Python) -> dict[str, Any]:
    """Choose the pictures, or draw them, and write what cold sides read."""
    source = given.images
    if source is None:
        from brainslice.phantom import write_phantoms

        source = scratch / "drawn"
        write_phantoms(source)
    found = sorted(path for path in source.rglob("*") if path.suffix.casefold() in SUFFIXES)
    step = max(1, len(found) // given.count)
    images = [str(path.resolve()) for path in found[::step][: given.count]]
    tenth = [str(path.resolve()) for path in found[::10]]
    for name, files in (("audited", images), ("tenth", tenth)):
        (scratch / name).mkdir()
        for number, file in enumerate(files):
            shutil.copyfile(file, scratch / name / f"{number:05}{Path(file).suffix}")
    settings = {"bundle": str(given.bundle.resolve()), "images": images, "scratch": str(scratch), "few": FEW}
    settings |= {"batch": SMALL_BATCH, "whole": str(source.resolve())}
    settings |= {name: str(scratch / name) for name in ("audited", "tenth")}
    settings |= {name: str(file.resolve()) for name in ("volume", "weights") if (file := getattr(given, name))}
    if "audit_drawn" in given.rows:
        from brainslice.phantom import KINDS, write_phantoms

        for name, count in (("drawn_heads", given.drawn), ("drawn_tenth", given.drawn // 10)):
            # Drawing takes longer than the audit, so the heads are kept.
            heads = (given.environments / f"heads_{count}").resolve()
            settings[name] = str(heads)
            if not heads.is_dir():
                write_phantoms(heads, count // (len(KINDS) * DRAWN_SLICES), DRAWN_SLICES)
    if any(ROWS[name].peer.function == "keras_sides:cold" for name in given.rows):
        run_cold(command(Side("keras_sides:save_model"), python, settings))
    return settings


def main() -> None:
    """Measure the rows, print them, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", default=[], help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="pictures to use; drawn heads by default")
    parser.add_argument("--count", type=int, default=256, help="how many pictures")
    parser.add_argument("--volume", type=Path, metavar="FILE", help="a NIfTI file for the row volume")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="ImageNet weights of EfficientNetV2-B0 for the rows time_to_f1"
    )
    parser.add_argument("--drawn", type=int, metavar="N", help="heads to draw for the row audit_drawn, such as 70000")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument(
        "--environments", type=Path, metavar="FOLDER", default=Path(".benchmarks"), help="for peers and drawn heads"
    )
    given = parser.parse_args()
    if unknown := sorted(set(given.rows) - set(ROWS)):
        parser.error(f"unknown rows: {', '.join(unknown)}")
    given.rows = given.rows or [name for name in ROWS if name not in NEEDED or getattr(given, NEEDED[name])]
    python, figures = Python(given.environments), {}
    print(f"{'':58}{'wall':>22}{'CPU':>22}{'target':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        settings = prepare(given, Path(scratch), python)
        for name in given.rows:
            row = ROWS[name]
            ratios = measure(row, python, settings, given.rounds)
            figures |= {f"{name}_{kind}": {**value} for kind, value in ratios.items()}
            cells = "".join(
                f"{r['value']:8.2f} [{r['low']:.2f}, {r['high']:.2f}]".rjust(22) for r in list(ratios.values())[:2]
            )
            print(f"{row.title:58}{cells}{'≤' if row.bound == 'most' else '≥'} {row.target:g}", flush=True)
    if given.output:
        made = {
            "schema": "brainslice/results/1",
            "title": "Speed beside what a user would pick instead",
            "command": ["# python -m benchmarks --images FOLDER --volume FILE.nii.gz --output results/benchmarks.json"],
            "note": f"{given.rounds} pairs a row, {given.count} pictures; {os.cpu_count()} CPUs, {platform.machine()}, "
            f"{platform.system()}, Python {platform.python_version()}, brainslice {version('brainslice')}, "
            f"{datetime.now(UTC):%Y-%m-%d}",
        }
        given.output.write_text(json.dumps({**made, "figures": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
