"""Threads that decode uploads and run the network; scans of several requests share one run."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from brainslice.arrays import NetworkInput
from brainslice.deadline import check_deadline, remaining_seconds, time_limit
from brainslice.errors import TimeLimitError, UnreadableScanError
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.scan.read import decode_scan
from brainslice.scan.types import Slice
from brainslice.service.explanation import explanation, overlay
from brainslice.service.metrics import Metrics
from brainslice.service.problems import refusal_message
from brainslice.service.settings import Batching
from brainslice.service.uploads import UploadedFile

Result = TypeVar("Result")

OVERDUE_SECONDS: Final = 5.0
"""A thread still at work so long after its deadline counts as lost."""

Answer = Callable[[Sequence[str], Sequence[NetworkInput]], list[Prediction]]
"""What answers for several prepared scans at once, as ``Predictor.answer`` does."""


class Threads:
    """A few threads whose jobs end with the deadline of the request they belong to."""

    def __init__(self, count: int, name: str) -> None:
        """Start none; threads start with their first job."""
        self._count = count
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._ends: dict[object, float] = {}

    async def run(self, make: Callable[..., Result], *arguments: Any) -> Result:  # noqa: ANN401 - as ``make`` takes
        """Call ``make(*arguments)`` in a thread.

        Raises:
            TimeLimitError: The deadline passed before the call began, or ``make`` noticed it.
        """
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: context.run(self._call, make, *arguments)
        )

    def _call(self, make: Callable[..., Result], *arguments: Any) -> Result:  # noqa: ANN401 - as ``make`` takes
        check_deadline()
        job = object()
        self._ends[job] = time.monotonic() + remaining_seconds()
        try:
            return make(*arguments)
        finally:
            del self._ends[job]

    @property
    def busy(self) -> int:
        """How many calls are under way."""
        return len(self._ends)

    @property
    def usable(self) -> bool:
        """Whether any thread is left that is not long past its deadline."""
        late = time.monotonic() - OVERDUE_SECONDS
        return sum(end < late for end in tuple(self._ends.values())) < self._count

    def close(self) -> None:
        """Take no more jobs and drop those that wait; calls under way go on."""
        self._executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    name: str
    network_input: NetworkInput
    answer: asyncio.Future[Prediction]
    end: float


class Batcher:
    """Gather scans for a few milliseconds, and run them together in the one thread that runs the network."""

    def __init__(self, answer: Answer, batching: Batching, observe: Callable[[int], None]) -> None:
        """Make ready; nothing runs before ``start``.

        Args:
            answer: What answers for a batch.
            batching: How many scans share a run, and how long the first of them waits.
            observe: Called with the number of scans in each run.
        """
        self.threads = Threads(1, "network")
        self._answer = answer
        self._batching = batching
        self._observe = observe
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether scans that are submitted will be answered."""
        return self._task is not None and not self._task.done() and self.threads.usable

    def start(self) -> None:
        """Begin to take scans, on the running event loop."""
        self._task = asyncio.create_task(self._gather())

    async def stop(self) -> None:
        """Take no more scans."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.threads.close()

    async def submit(self, name: str, network_input: NetworkInput) -> Prediction:
        """Answer for one prepared scan.

        Args:
            name: What it is called in its answer.
            network_input: The network input ``(h, w)``.

        Raises:
            BundleError: The model gives no usable answer.
            TimeLimitError: The deadline passed before its batch ran.
        """
        end = time.monotonic() + remaining_seconds()
        waiting = _Waiting(name, network_input, asyncio.get_running_loop().create_future(), end)
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def _gather(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await self._fill(batch)
            batch = [each for each in batch if _is_in_time(each)]
            if batch:
                self._observe(len(batch))
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
        try:
            with time_limit(max(each.end for each in batch) - time.monotonic()):
                names, inputs = [each.name for each in batch], [each.network_input for each in batch]
                answers = await self.threads.run(self._answer, names, inputs)
        except Exception as error:  # noqa: BLE001 - passed on to whoever waits
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        for each, answer in zip(batch, answers, strict=True):
            if not each.answer.done():
                each.answer.set_result(answer)


def _is_in_time(waiting: _Waiting) -> bool:
    if waiting.answer.done():
        return False
    if waiting.end < time.monotonic():
        waiting.answer.set_exception(TimeLimitError("the time limit passed while the scan waited for the network"))
        return False
    return True


@dataclass(frozen=True, slots=True)
class HeatMapRequest:
    """What an overlay shows.

    Attributes:
        name: The class whose evidence it shows; the predicted one where None.
        opacity: How much of the scan the strongest heat hides, 0 to 1.
    """

    name: str | None
    opacity: float


class InferenceWorker:
    """A predictor at work for many requests; its threads bound what is decoded at one time.

    Attributes:
        scan_threads: Where single scans are decoded and drawn.
        study_threads: Where studies are decoded and predicted; they hold hundreds of slices, so one at a time.
    """

    def __init__(self, predictor: Predictor, batching: Batching, metrics: Metrics) -> None:
        """Make ready; nothing runs before ``start``."""
        self.predictor = predictor
        self.scan_threads = Threads(batching.threads, "decode")
        self.study_threads = Threads(1, "study")
        self._metrics = metrics
        self._batcher = Batcher(predictor.predict_inputs, batching, metrics.batches.observe)

    def start(self) -> None:
        """Begin to work, on the running event loop."""
        self._batcher.start()

    @property
    def running(self) -> bool:
        """Whether requests will be answered."""
        return self._batcher.running and self.scan_threads.usable and self.study_threads.usable

    @property
    def busy(self) -> int:
        """How many calls are under way in threads."""
        return self.scan_threads.busy + self.study_threads.busy + self._batcher.threads.busy

    async def stop(self, seconds: float = OVERDUE_SECONDS) -> None:
        """Take no more work, and wait for what is under way, but no longer than this."""
        await self._batcher.stop()
        self.scan_threads.close()
        self.study_threads.close()
        end = time.monotonic() + seconds
        while self.busy and time.monotonic() < end:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0.02)

    async def predict(self, files: Sequence[UploadedFile]) -> list[Prediction | Refusal]:
        """Answer or refuse each of several scans, in their order.

        Raises:
            BundleError: The model gives no usable answer.
            TimeLimitError: The deadline has passed.
        """
        return list(await asyncio.gather(*(self._predict_or_refuse(file) for file in files)))

    async def explain(self, file: UploadedFile, frame: int | None) -> dict[str, Any]:
        """Answer for one scan, with its pictures and maps.

        Args:
            file: The scan.
            frame: Which of several frames or slices, from 1; None where there is one only.

        Raises:
            UnreadableScanError: It is no scan that can be read.
        """
        scan = await self.scan_threads.run(decode_scan, file.data, file.name, frame)
        return await self.explain_slice(scan, file.name)

    async def explain_slice(self, scan: Slice, name: str) -> dict[str, Any]:
        """Answer for a slice that is decoded already, with its pictures and maps."""
        network_input = await self.scan_threads.run(self.predictor.recipe, scan)
        prediction = await self._answer(name, network_input)
        return await self.scan_threads.run(explanation, prediction, scan)

    async def draw(self, file: UploadedFile, frame: int | None, shown: HeatMapRequest) -> bytes:
        """Draw one scan beside its overlay as PNG.

        Raises:
            UnreadableScanError: It is no scan that can be read.
        """
        network_input = await self.scan_threads.run(self._prepare, file, frame)
        prediction = await self._answer(file.name, network_input)
        return await self.scan_threads.run(overlay, prediction, shown.name, shown.opacity)

    async def _predict_or_refuse(self, file: UploadedFile) -> Prediction | Refusal:
        try:
            network_input = await self.scan_threads.run(self._prepare, file, None)
        except UnreadableScanError as error:
            self._metrics.scans.labels("refused").inc()
            return Refusal(file.name, refusal_message(error))
        return await self._answer(file.name, network_input)

    async def _answer(self, name: str, network_input: NetworkInput) -> Prediction:
        prediction = await self._batcher.submit(name, network_input)
        self._metrics.scans.labels("answered").inc()
        return prediction

    def _prepare(self, file: UploadedFile, frame: int | None) -> NetworkInput:
        # In one go, so that the slice itself is let go at once: it may hold a thousand times what the network sees.
        return self.predictor.recipe(decode_scan(file.data, file.name, frame))
