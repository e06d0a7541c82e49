from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from brainslice.arrays import NetworkInput
from brainslice.errors import BundleError
from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.service.batching import Batcher
from brainslice.service.settings import Batching


def pictures(count: int) -> list[NetworkInput]:
    rng = np.random.default_rng(4)
    return [rng.integers(0, 255, size=(64, 64), dtype=np.uint8) for _ in range(count)]


def answered(predictor: Predictor, count: int, batching: Batching) -> tuple[list[Prediction], list[int]]:
    sizes: list[int] = []

    async def scene() -> list[Prediction]:
        batcher = Batcher(predictor.answer, batching, sizes.append)
        batcher.start()
        found = await asyncio.gather(*(batcher.submit(str(place), seen) for place, seen in enumerate(pictures(count))))
        await batcher.stop()
        return found

    return asyncio.run(scene()), sizes


def test_scans_that_come_together_share_a_run_and_get_the_numbers_they_get_alone(predictor: Predictor) -> None:
    together, sizes = answered(predictor, 20, Batching(size=8, wait_seconds=0.5))
    assert sizes == [8, 8, 4]
    for place, (answer, seen) in enumerate(zip(together, pictures(20), strict=True)):
        (alone,) = predictor.answer([str(place)], [seen])
        assert answer.source == str(place)
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        np.testing.assert_allclose(answer.class_maps, alone.class_maps, atol=1e-6)


def test_a_size_of_one_runs_each_scan_by_itself(predictor: Predictor) -> None:
    _, sizes = answered(predictor, 5, Batching(size=1))
    assert sizes == [1] * 5


def test_scans_that_come_while_the_network_runs_are_taken_together_next() -> None:
    running, go_on, sizes = threading.Event(), threading.Event(), []

    def slow(names: Sequence[str], _: Sequence[NetworkInput]) -> list[Prediction]:
        running.set()
        go_on.wait(30)
        msg = f"{len(names)} asked"
        raise BundleError(msg)

    async def scene() -> list[BaseException]:
        batcher = Batcher(slow, Batching(size=8, wait_seconds=0.0), sizes.append)
        batcher.start()
        seen = pictures(4)
        first = asyncio.create_task(batcher.submit("0", seen[0]))
        await asyncio.to_thread(running.wait, 30)
        later = [asyncio.create_task(batcher.submit(str(place), seen[place])) for place in (1, 2, 3)]
        await asyncio.sleep(0)
        go_on.set()
        found = await asyncio.gather(first, *later, return_exceptions=True)
        await batcher.stop()
        return [error for error in found if isinstance(error, BaseException)]

    errors = asyncio.run(scene())
    assert sizes == [1, 3]
    assert [str(error) for error in errors] == ["1 asked"] + ["3 asked"] * 3


def test_who_no_longer_waits_does_not_hurt_the_others(predictor: Predictor) -> None:
    async def scene() -> Prediction:
        batcher = Batcher(predictor.answer, Batching(wait_seconds=0.2), lambda _: None)
        batcher.start()
        first, second = (asyncio.create_task(batcher.submit(name, pictures(1)[0])) for name in "ab")
        await asyncio.sleep(0)
        first.cancel()
        found = await second
        await batcher.stop()
        return found

    assert asyncio.run(scene()).source == "b"
