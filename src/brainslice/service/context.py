"""One service: its predictor, and all that stands around it."""

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
from brainslice.service.settings import Settings
from brainslice.service.studies import StudyCache
from brainslice.service.worker import InferenceWorker

_SWEEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ServiceContext:
    """All that answers.

    Attributes:
        predictor: What answers for scans.
        settings: What it was told when it started.
        concurrency_limit: How much is in work.
        metrics: What is counted.
        worker: Where uploads are worked on.
        studies: Studies that somebody is looking at.
        model_info: What is said of the model, as JSON.
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
        admission = ConcurrencyLimit(settings.limits)
        metrics = Metrics(admission, brainslice.__version__, predictor.bundle.info.digest)
        return cls(
            predictor=predictor,
            settings=settings,
            concurrency_limit=admission,
            metrics=metrics,
            worker=InferenceWorker(predictor, settings.batching, metrics),
            studies=StudyCache(settings.limits),
            model_info=model_info_json(read_model_info(predictor, settings.limits)),
        )

    async def run(self) -> None:
        """Forget old studies also while nobody asks; ends when cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.studies.forget_old()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work while the block runs, and end in order."""
        self.worker.start()
        sweeping = asyncio.create_task(self.run())
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
