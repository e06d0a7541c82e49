"""The parts of one running service, as requests find them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request

import brainslice
from brainslice.inference.predictor import Predictor
from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.metrics import Metrics
from brainslice.service.model_info import model_info_json, read_model_info
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Settings
from brainslice.service.studies import StudyCache
from brainslice.service.worker import InferenceWorker

_SWEEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ServiceContext:
    """The parts of one running service.

    Attributes:
        predictor: What answers for scans.
        settings: How the service was started.
        concurrency_limit: How much is in work.
        metrics: What is counted.
        worker: The threads that decode and predict.
        studies: Studies whose slices can be looked at.
        model_info: The facts about the model, as JSON.
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
        """Build a service around a predictor.

        Raises:
            BundleError: An optional file of the bundle is not what its name promises.
        """
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
        """Raise when only a restart helps.

        Raises:
            ProblemError: The worker is dead.
        """
        if not self.worker.running:
            raise ProblemError(ErrorCode.NOT_WORKING, "the worker has stopped; restart the service")

    def check_ready(self) -> None:
        """Raise unless the next request would be taken and answered.

        Raises:
            ProblemError: The service is ending, its worker is dead, or as many requests are in work as may be.
        """
        if self.concurrency_limit.draining:
            raise ProblemError(ErrorCode.DRAINING, "the service is ending; ask again when it is back")
        self.check_alive()
        if self.concurrency_limit.full:
            raise ProblemError(ErrorCode.FULL, "as many requests are in work as may be; ask again in a moment")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.studies.forget_old()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work while the block runs, and end in order."""
        self.worker.start()
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            await self.worker.stop()


def get_context(request: Request) -> ServiceContext:
    """Find the service that a request reached."""
    service = request.app.state.service
    if not isinstance(service, ServiceContext):
        msg = f"the application must hold a service, got {type(service).__name__}"
        raise TypeError(msg)
    return service
