"""Threads that decode uploads and run the network, with dynamic batching across requests."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from brainslice.arrays import NetworkInput
from brainslice.deadline import check_deadline, remaining_seconds, time_limit
from brainslice.errors import TimeLimitError, UnreadableScanError
from brainslice.inference import Prediction, Predictor, Refusal
from brainslice.scan import Remark, Slice, decode_scan
from brainslice.service.explanation import explanation, overlay
from brainslice.service.metrics import Metrics
from brainslice.service.problems import refusal_message
from brainslice.service.settings import Batching
from brainslice.service.uploads import UploadedFile

Result = TypeVar("Result")

OVERDUE_SECONDS: Final = 5.0
"""The time after the deadline from which a running thread is considered lost."""

Predict = Callable[[Sequence[str], Sequence[NetworkInput]], list[Prediction]]
"""A function like ``Predictor.predict_inputs``."""


class Threads:
    """A thread pool whose jobs have the deadline of their request."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._ends: dict[object, float] = {}

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:  # noqa: ANN401 - any arguments
        """Call ``function(*arguments)`` in a thread."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: context.run(self._call, function, *arguments)
        )

    def _call(self, function: Callable[..., Result], *arguments: Any) -> Result:  # noqa: ANN401 - any arguments
        check_deadline()
        job = object()
        self._ends[job] = time.monotonic() + remaining_seconds()
        try:
            return function(*arguments)
        finally:
            del self._ends[job]

    @property
    def busy(self) -> int:
        """The number of running calls."""
        return len(self._ends)

    @property
    def usable(self) -> bool:
        """Whether any thread is not lost."""
        late = time.monotonic() - OVERDUE_SECONDS
        return sum(end < late for end in tuple(self._ends.values())) < self._count

    def close(self) -> None:
        """Accept no more jobs and cancel waiting ones; running ones continue."""
        self._executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    name: str
    network_input: NetworkInput
    future: asyncio.Future[Prediction]
    end: float


class Batcher:
    """Run the scans that wait as batches, several at the same time, each in a thread."""

    def __init__(self, predict: Predict, batching: Batching, observe: Callable[[int], None]) -> None:
        self.threads = Threads(batching.batches, "network")
        self._free = asyncio.Semaphore(batching.batches)
        self._running: set[asyncio.Task[None]] = set()
        self._predict = predict
        self._batching = batching
        self._observe = observe
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether submitted scans will be predicted."""
        return self._task is not None and not self._task.done() and self.threads.usable

    def start(self) -> None:
        """Start on the running event loop."""
        self._task = asyncio.create_task(self._gather())

    async def stop(self) -> None:
        """Accept no more scans."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.threads.close()

    async def submit(self, name: str, network_input: NetworkInput) -> Prediction:
        """Predict a network input ``(h, w)`` in the next batch."""
        end = time.monotonic() + remaining_seconds()
        waiting = _Waiting(name, network_input, asyncio.get_running_loop().create_future(), end)
        self._queue.put_nowait(waiting)
        return await waiting.future

    async def _gather(self) -> None:
        while True:
            await self._free.acquire()
            batch = [await self._queue.get()]
            while len(batch) < self._batching.size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            task = asyncio.create_task(self._run([each for each in batch if _is_in_time(each)]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda _: self._free.release())

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        self._observe(len(batch))
        try:
            with time_limit(max(each.end for each in batch) - time.monotonic()):
                names, inputs = [each.name for each in batch], [each.network_input for each in batch]
                predictions = await self.threads.run(self._predict, names, inputs)
        except Exception as error:  # noqa: BLE001 - set on every future
            for each in batch:
                if not each.future.done():
                    each.future.set_exception(error)
            return
        for each, prediction in zip(batch, predictions, strict=True):
            if not each.future.done():
                each.future.set_result(prediction)


def _is_in_time(waiting: _Waiting) -> bool:
    if waiting.future.done():
        return False
    if waiting.end < time.monotonic():
        waiting.future.set_exception(TimeLimitError("the time limit passed while the scan waited for the network"))
        return False
    return True


@dataclass(frozen=True, slots=True)
class HeatMapRequest:
    """The options of an overlay.

    Attributes:
        name: The class of the heat map; None for the predicted one.
        opacity: The opacity of the heat map's maximum, 0 to 1.
    """

    name: str | None
    opacity: float


class InferenceWorker:
    """A predictor for concurrent requests.

    Attributes:
        scan_threads: Threads that decode and draw scans.
        study_threads: A thread that decodes and predicts studies, one at a time to save memory.
    """

    def __init__(self, predictor: Predictor, batching: Batching, metrics: Metrics) -> None:
        self.predictor = predictor
        self.scan_threads = Threads(batching.threads, "decode")
        self.study_threads = Threads(1, "study")
        self._metrics = metrics
        self._batcher = Batcher(predictor.predict_inputs, batching, metrics.batches.observe)

    def start(self) -> None:
        """Start on the running event loop."""
        self._batcher.start()

    @property
    def running(self) -> bool:
        """Whether requests will be predicted."""
        return self._batcher.running and self.scan_threads.usable and self.study_threads.usable

    @property
    def busy(self) -> int:
        """The number of running calls."""
        return self.scan_threads.busy + self.study_threads.busy + self._batcher.threads.busy

    async def stop(self, seconds: float = OVERDUE_SECONDS) -> None:
        """Accept no more work, and wait for running calls, at most so many seconds."""
        await self._batcher.stop()
        self.scan_threads.close()
        self.study_threads.close()
        end = time.monotonic() + seconds
        while self.busy and time.monotonic() < end:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0.02)

    async def predict(self, files: Sequence[UploadedFile]) -> list[Prediction | Refusal]:
        """Predict or refuse each scan, in order."""
        return list(await asyncio.gather(*(self._predict_or_refuse(file) for file in files)))

    async def explain(self, file: UploadedFile, frame: int | None) -> dict[str, Any]:
        """Predict a scan, or one of its frames from 1, with images and class maps."""
        scan = await self.scan_threads.run(decode_scan, file.data, file.name, frame)
        return await self.explain_slice(scan, file.name)

    async def explain_slice(self, scan: Slice, name: str) -> dict[str, Any]:
        """Predict a decoded slice, with images and class maps."""
        network_input = await self.scan_threads.run(self.predictor.recipe, scan)
        prediction = replace(await self._submit(name, network_input), remarks=scan.remarks)
        return await self.scan_threads.run(explanation, prediction, scan)

    async def draw(self, file: UploadedFile, frame: int | None, shown: HeatMapRequest) -> bytes:
        """Draw a scan beside its overlay as PNG."""
        network_input, _ = await self.scan_threads.run(self._prepare, file, frame)
        prediction = await self._submit(file.name, network_input)
        return await self.scan_threads.run(overlay, prediction, shown.name, shown.opacity)

    async def _predict_or_refuse(self, file: UploadedFile) -> Prediction | Refusal:
        try:
            network_input, remarks = await self.scan_threads.run(self._prepare, file, None)
        except UnreadableScanError as error:
            self._metrics.scans.labels("refused").inc()
            return Refusal(file.name, refusal_message(error))
        return replace(await self._submit(file.name, network_input), remarks=remarks)

    async def _submit(self, name: str, network_input: NetworkInput) -> Prediction:
        prediction = await self._batcher.submit(name, network_input)
        self._metrics.scans.labels("answered").inc()
        return prediction

    def _prepare(self, file: UploadedFile, frame: int | None) -> tuple[NetworkInput, tuple[Remark, ...]]:
        # In one call, so that the decoded slice, which may be large, is freed at once.
        scan = decode_scan(file.data, file.name, frame)
        return self.predictor.recipe(scan), scan.remarks
