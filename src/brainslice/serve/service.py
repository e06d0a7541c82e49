"""One service: its predictor, and all that stands around it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request

import brainslice
from brainslice.infer.predictor import Predictor
from brainslice.serve.about import facts_as_json, model_facts
from brainslice.serve.admission import Admission
from brainslice.serve.desk import Desk
from brainslice.serve.metrics import Metrics
from brainslice.serve.settings import Settings
from brainslice.serve.studies import Studies

_SWEEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """All that answers.

    Attributes:
        predictor: What answers for scans.
        settings: What it was told when it started.
        admission: How much is in work.
        metrics: What is counted.
        desk: Where uploads are worked on.
        studies: Studies that somebody is looking at.
        facts: What is said of the model, as JSON.
    """

    predictor: Predictor
    settings: Settings
    admission: Admission
    metrics: Metrics
    desk: Desk
    studies: Studies
    facts: bytes

    @classmethod
    def of(cls, predictor: Predictor, settings: Settings) -> Service:
        """Build a service around a predictor.

        Raises:
            BundleError: An optional file of the bundle is not what its name promises.
        """
        admission = Admission(settings.limits)
        metrics = Metrics(admission, brainslice.__version__, predictor.bundle.info.digest)
        return cls(
            predictor=predictor,
            settings=settings,
            admission=admission,
            metrics=metrics,
            desk=Desk(predictor, settings.batching, metrics),
            studies=Studies(settings.limits),
            facts=facts_as_json(model_facts(predictor, settings.limits)),
        )

    async def run(self) -> None:
        """Forget old studies also while nobody asks; ends when cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.studies.forget_old()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work while the block runs, and end in order."""
        self.desk.start()
        sweeping = asyncio.create_task(self.run())
        try:
            yield
        finally:
            sweeping.cancel()
            await self.desk.stop()


def service_of(request: Request) -> Service:
    """Find the service that a request reached."""
    service = request.app.state.service
    if not isinstance(service, Service):
        msg = f"the application must hold a service, got {type(service).__name__}"
        raise TypeError(msg)
    return service
