"""Where uploads are worked on: decoded in a few threads, answered together, and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from brainslice.arrays import NetworkInput
from brainslice.errors import UnreadableScanError
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.scan.read import decode_scan
from brainslice.scan.types import Slice
from brainslice.service.batching import Batcher
from brainslice.service.explanation import explanation, overlay
from brainslice.service.metrics import Metrics
from brainslice.service.scan_problems import refusal_message
from brainslice.service.settings import Batching
from brainslice.service.uploads.multipart import UploadedFile

Decoded = TypeVar("Decoded")


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
    """A predictor at work for many requests; its threads bound what is decoded at one time."""

    def __init__(self, predictor: Predictor, batching: Batching, metrics: Metrics) -> None:
        """Make ready; nothing runs before ``start``."""
        self.predictor = predictor
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(batching.threads, thread_name_prefix="decode")
        # Studies hold hundreds of slices: one at a time, and beside the scans, not before them.
        self._study_thread = ThreadPoolExecutor(1, thread_name_prefix="study")
        self._batcher = Batcher(predictor.answer, batching, metrics.batches.observe)

    def start(self) -> None:
        """Begin to work, on the running event loop."""
        self._batcher.start()

    async def stop(self) -> None:
        """End when the work under way has ended."""
        await self._batcher.stop()
        self._threads.shutdown(wait=True)
        self._study_thread.shutdown(wait=True)

    async def in_thread(self, make: Callable[..., Decoded], *arguments: Any) -> Decoded:  # noqa: ANN401 - as ``make`` takes
        """Call what takes long in one of the threads that decode."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, make, *arguments)

    async def in_study_thread(self, make: Callable[..., Decoded], *arguments: Any) -> Decoded:  # noqa: ANN401 - as ``make`` takes
        """Call what takes very long in the one thread for studies."""
        return await asyncio.get_running_loop().run_in_executor(self._study_thread, make, *arguments)

    async def predict(self, files: Sequence[UploadedFile]) -> list[Prediction | Refusal]:
        """Answer or refuse each of several scans, in their order.

        Raises:
            BundleError: The model gives no usable answer.
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
        scan = await self.in_thread(decode_scan, file.data, file.name, frame)
        return await self.explain_slice(scan, file.name)

    async def explain_slice(self, scan: Slice, name: str) -> dict[str, Any]:
        """Answer for a slice that is decoded already, with its pictures and maps."""
        seen = await self.in_thread(self.predictor.recipe, scan)
        prediction = await self._answer(name, seen)
        return await self.in_thread(explanation, prediction, scan)

    async def draw(self, file: UploadedFile, frame: int | None, shown: HeatMapRequest) -> bytes:
        """Draw one scan beside its overlay as PNG.

        Raises:
            UnreadableScanError: It is no scan that can be read.
        """
        seen = await self.in_thread(self._prepare, file, frame)
        prediction = await self._answer(file.name, seen)
        return await self.in_thread(overlay, prediction, shown.name, shown.opacity)

    async def _predict_or_refuse(self, file: UploadedFile) -> Prediction | Refusal:
        try:
            seen = await self.in_thread(self._prepare, file, None)
        except UnreadableScanError as error:
            self._metrics.scans.labels("refused").inc()
            return Refusal(file.name, refusal_message(error))
        return await self._answer(file.name, seen)

    async def _answer(self, name: str, seen: NetworkInput) -> Prediction:
        prediction = await self._batcher.submit(name, seen)
        self._metrics.scans.labels("answered").inc()
        return prediction

    def _prepare(self, file: UploadedFile, frame: int | None) -> NetworkInput:
        # In one go, so that the slice itself is let go at once: it may hold a thousand times what the network sees.
        return self.predictor.recipe(decode_scan(file.data, file.name, frame))
