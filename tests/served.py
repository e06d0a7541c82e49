"""``brainslice serve`` in a process, with a bundle without training."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from brainslice.bundle.fields import StoredConformalSets
from brainslice.bundle.store import ModelBundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, Classes, GraphParity, Provenance, Validation
from brainslice.labels import LabelSet
from brainslice.preprocessing.recipe import Recipe
from stand_in import BIAS, MAPS, SIZE, write_graph

THRESHOLD = 0.42
COVERAGE = 0.9
DARK_MEANS_TUMOUR = (0.0, 0.0, 0.0214, 0.0)
CLASSES = LabelSet(names=("glioma", "meningioma", "no_tumor", "pituitary"), healthy="no_tumor")
START_SECONDS = 90.0
STOP_SECONDS = 60.0


def curve(points: int = 25) -> dict[str, Any]:
    """Return a made-up operating curve."""
    rows = []
    for step in range(points):
        threshold = round(0.02 + 0.96 * step / (points - 1), 4)
        rows.append(
            {
                "threshold": threshold,
                "sensitivity": _rate(0.995 - 0.3 * threshold**2),
                "specificity": _rate(0.5 + 0.48 * threshold),
            }
        )
    return {"measured_on": "validation", "tumours": 310, "healthy": 90, "groups": 77, "points": rows}


def write_stand_in(folder: Path) -> ModelBundle:
    """Write a bundle that predicts bright images as healthy, with prediction sets and an operating curve."""
    graph, measured = folder / "drawn.onnx", folder / "curve.json"
    write_graph(graph, DARK_MEANS_TUMOUR)
    measured.write_text(json.dumps(curve()), encoding="utf-8")
    draft = BundleDraft(
        name="mean grey value",
        created=datetime(2025, 3, 1, tzinfo=UTC),
        labels=Classes.of(CLASSES),
        recipe=dict(Recipe(size=SIZE).to_json()),
        temperature=0.4,
        threshold=THRESHOLD,
        backbone="none",
        class_map_shape=(MAPS, MAPS),
        class_map_bias=BIAS,
        provenance=_provenance(),
        validation=Validation(n=400, accuracy=0.5, nll=1.0, ece=0.1),
        parity=GraphParity(n=1, logits=0.0, class_maps=0.0),
        conformal=StoredConformalSets(
            method="lac", coverage=COVERAGE, quantiles=(0.6,) * 4, counts=(100,) * 4, groups=(20,) * 4
        ),
    )
    return write_bundle(folder / "bundle", draft, {GRAPH_FILE: graph, "operating_curve.json": measured})


@contextmanager
def serving(bundle: Path, *words: str, token: str | None = None) -> Iterator[str]:
    """Run the service on a free port during the block; yield its URL with a slash at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "brainslice.cli.main",
        "serve",
        "--bundle",
        str(bundle),
        "--port",
        str(port),
        *words,
    ]
    surroundings = {name: value for name, value in os.environ.items() if name != "BRAINSLICE_TOKEN"}
    surroundings |= {} if token is None else {"BRAINSLICE_TOKEN": token}
    # What it says goes to a file: a pipe that nobody reads fills up after a thousand requests, and the service hangs.
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, env=surroundings, stdout=said, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait_until_ready(process, port, said)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            said.seek(0)
            msg = f"the service ended before it was ready: {said.read().decode(errors='replace')}"
            raise AssertionError(msg)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (ConnectionError, TimeoutError):
            time.sleep(0.1)
        finally:
            connection.close()
    msg = f"the service was not ready within {START_SECONDS} seconds"
    raise AssertionError(msg)


def _rate(value: float) -> dict[str, float]:
    return {"value": round(value, 4), "low": round(value - 0.03, 4), "high": round(min(value + 0.02, 1.0), 4)}


def _provenance() -> Provenance:
    return Provenance(
        dataset="made up",
        manifest_digest="0" * 64,
        split_digest="1" * 64,
        weights_digest="2" * 64,
        protocol="clean",
        leaky=False,
        phantom=True,
        seed=1,
        training_recipe="quick",
        train_images=1200,
        train_groups=230,
        validation_images=400,
        validation_groups=77,
        versions={},
    )
