"""Scans of several requests share one run of the network: the same numbers, and more of them a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from brainslice.arrays import NetworkInput
from brainslice.inference.prediction import Prediction
from brainslice.service.settings import Batching

Answer = Callable[[Sequence[str], Sequence[NetworkInput]], list[Prediction]]
"""What answers for several prepared scans at once, as ``Predictor.answer`` does."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    name: str
    seen: NetworkInput
    answer: asyncio.Future[Prediction]


class Batcher:
    """Gathers scans for a few milliseconds, and runs them together in the one thread that runs the network."""

    def __init__(self, answer: Answer, batching: Batching, told: Callable[[int], None]) -> None:
        """Make ready; nothing runs before ``start``.

        Args:
            answer: What answers for a batch.
            batching: How many scans share a run, and how long the first of them waits.
            told: Called with the number of scans in each run.
        """
        self._answer = answer
        self._batching = batching
        self._told = told
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._gathering: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take scans, on the running event loop."""
        self._gathering = asyncio.create_task(self._gather())

    async def stop(self) -> None:
        """End when the run under way has ended."""
        if self._gathering is not None:
            self._gathering.cancel()
            await asyncio.gather(self._gathering, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def submit(self, name: str, seen: NetworkInput) -> Prediction:
        """Answer for one prepared scan.

        Args:
            name: What it is called in its answer.
            seen: The network input ``(h, w)``.

        Raises:
            BundleError: The model gives no usable answer.
        """
        waiting = _Waiting(name, seen, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def _gather(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await self._fill(batch)
            self._told(len(batch))
            await self._run(batch)

    async def _fill(self, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._batching.wait_seconds
        while len(batch) < self._batching.size:
            try:
                # What waits already is taken at once, also when the time is up.
                batch.append(self._queue.get_nowait())
            except asyncio.QueueEmpty:
                try:
                    async with asyncio.timeout_at(end):
                        batch.append(await self._queue.get())
                except TimeoutError:
                    return

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        names, seen = [one.name for one in batch], [one.seen for one in batch]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._answer, names, seen)
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer is told, whatever came
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        for one, answer in zip(batch, answers, strict=True):
            if not one.answer.done():
                one.answer.set_result(answer)
