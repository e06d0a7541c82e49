"""The components of a running service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request

import brainslice
from brainslice.inference import Predictor
from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.metrics import Metrics
from brainslice.service.model_info import model_info_json, read_model_info
from brainslice.service.problems import STOPPING, ErrorCode, ProblemError
from brainslice.service.settings import Settings
from brainslice.service.studies import StudyCache
from brainslice.service.worker import InferenceWorker

_SWEEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ServiceContext:
    """The components of a running service.

    Attributes:
        predictor: The predictor.
        settings: The settings.
        concurrency_limit: The counts of running requests.
        metrics: The metrics.
        worker: The threads that decode and predict.
        studies: The studies kept for their viewers.
        model_info: Information about the model, as JSON.
    """

    predictor: Predictor
    settings: Settings
    concurrency_limit: ConcurrencyLimit
    metrics: Metrics
    worker: InferenceWorker
    studies: StudyCache
    model_info: bytes

    @classmethod
    def of(cls, predictor: Predictor, settings: Settings) -> ServiceContext:
        """Create the components."""
        limit = ConcurrencyLimit(settings.limits)
        metrics = Metrics(limit, brainslice.__version__, predictor.bundle.info.digest)
        return cls(
            predictor=predictor,
            settings=settings,
            concurrency_limit=limit,
            metrics=metrics,
            worker=InferenceWorker(predictor, settings.batching, metrics),
            studies=StudyCache(settings.limits),
            model_info=model_info_json(read_model_info(predictor, settings.limits)),
        )

    def check_alive(self) -> None:
        """Raise ``ProblemError`` if the worker has stopped."""
        if not self.worker.running:
            raise ProblemError(ErrorCode.NOT_WORKING, "the worker has stopped; restart the service")

    def check_ready(self) -> None:
        """Raise ``ProblemError`` unless the next request would be accepted."""
        if self.concurrency_limit.draining:
            raise ProblemError(ErrorCode.DRAINING, STOPPING)
        self.check_alive()
        if self.concurrency_limit.full:
            raise ProblemError(ErrorCode.FULL, "the maximum number of requests is running; try again in a moment")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.studies.delete_expired()

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Run worker and clean-up during the block."""
        self.worker.start()
        cleaning = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            cleaning.cancel()
            await self.worker.stop()


def get_context(request: Request) -> ServiceContext:
    """Return the context of a request's application."""
    service = request.app.state.service
    if not isinstance(service, ServiceContext):
        msg = f"app.state.service must be a ServiceContext, got {type(service).__name__}"
        raise TypeError(msg)
    return service
