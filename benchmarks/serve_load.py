"""What micro-batching is worth: the service under load with it and without, in turns, in one run.

    python benchmarks/serve_load.py BUNDLE SCANS [--clients 8] [--requests 12] [--turns 3]

Requests go through the whole service (guard, form, decoding, network, schema) but not through a socket. Both ways are
measured in turns, so that what else the machine does weighs on both alike: trust the ratio, not the seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import httpx2

from brainslice.inference.predictor import Predictor
from brainslice.scan.read import SCAN_SUFFIXES
from brainslice.service.app import create_app
from brainslice.service.settings import Batching, Settings

WAYS = {"one by one": Batching(size=1, wait_seconds=0.0), "micro-batched": Batching()}


@dataclass
class Load:
    """What was measured of one way."""

    scans: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answers: dict[str, float] = field(default_factory=dict)

    def told(self) -> str:
        """Say it in a line."""
        middle, late = (1000 * each for each in (statistics.median(self.latencies), self._late))
        return f"{self.scans / self.seconds:6.1f} scans/s   median {middle:5.0f} ms   95th percentile {late:5.0f} ms"

    @property
    def _late(self) -> float:
        return sorted(self.latencies)[int(0.95 * (len(self.latencies) - 1))]


async def turn(
    predictor: Predictor, batching: Batching, load: Load, forms: list[tuple[str, bytes]], clients: int
) -> None:
    """Let many clients ask at one time, each for one scan after the other."""
    app = create_app(predictor, Settings(batching=batching))
    waiting = iter(forms)

    async def ask(client: httpx2.AsyncClient) -> None:
        for name, data in waiting:
            began = time.perf_counter()
            answer = await client.post("/predict", files={"files": (name, data)})
            answer.raise_for_status()
            load.latencies.append(time.perf_counter() - began)
            load.answers[name] = answer.json()["predictions"][0]["tumour_probability"]

    transport = httpx2.ASGITransport(app=app)
    async with (
        app.state.service.lifespan(),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        began = time.perf_counter()
        await asyncio.gather(*(ask(client) for _ in range(clients)))
        load.seconds += time.perf_counter() - began
    load.scans += len(forms)


def main() -> None:
    """Measure both ways in turns, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=12, help="requests of each client in each turn")
    parser.add_argument("--turns", type=int, default=3)
    told = parser.parse_args()
    predictor = Predictor.open(told.bundle)
    found = sorted(path for path in told.scans.rglob("*") if path.suffix.casefold() in SCAN_SUFFIXES)[:64]
    forms = list(islice(cycle([(str(path), path.read_bytes()) for path in found]), told.clients * told.requests))
    loads = {name: Load() for name in WAYS}
    for _ in range(told.turns):
        for name, batching in WAYS.items():
            asyncio.run(turn(predictor, batching, loads[name], forms, told.clients))
    alone, together = loads.values()
    for name, load in loads.items():
        print(f"{name:>14}: {load.told()}")
    ratio = together.scans / together.seconds / (alone.scans / alone.seconds)
    print(f"         ratio: {ratio:.2f} times the scans a second")
    apart = max(abs(alone.answers[name] - together.answers[name]) for name in alone.answers)
    print(f"       answers: P(tumour) differs by {apart:.1e} at most, over {len(alone.answers)} scans")


if __name__ == "__main__":
    main()
