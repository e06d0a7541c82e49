from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from brainslice.errors import UnreadableScanError
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.metrics import Metrics
from brainslice.service.settings import Batching, Limits
from brainslice.service.uploads.multipart import UploadedFile
from brainslice.service.worker import HeatMapRequest, InferenceWorker


def at_desk(predictor: Predictor, work: Callable[[InferenceWorker], Awaitable[object]]) -> object:
    async def scene() -> object:
        metrics = Metrics(ConcurrencyLimit(Limits()), "0", "0" * 64)
        desk = InferenceWorker(predictor, Batching(threads=1), metrics)
        desk.start()
        try:
            return await work(desk)
        finally:
            await desk.stop()

    return asyncio.run(scene())


def uploads(scans: list[Path]) -> list[UploadedFile]:
    return [UploadedFile(path.name, path.read_bytes()) for path in scans]


def test_answers_come_in_the_order_of_the_files(predictor: Predictor, scans: list[Path]) -> None:
    files = [*uploads(scans[:2]), UploadedFile("broken.png", b"x"), *uploads(scans[2:4])]
    found = at_desk(predictor, lambda desk: desk.predict(files))
    assert isinstance(found, list)
    assert [answer.source for answer in found] == [file.name for file in files]
    assert [type(answer) for answer in found] == [Prediction, Prediction, Refusal, Prediction, Prediction]


@pytest.mark.parametrize("frame", [None, 7])
def test_what_cannot_be_read_is_said_when_it_is_asked_for_alone(predictor: Predictor, frame: int | None) -> None:
    broken = UploadedFile("broken.png", b"x")
    with pytest.raises(UnreadableScanError, match=r"^broken\.png: "):
        at_desk(predictor, lambda desk: desk.explain(broken, frame))
    with pytest.raises(UnreadableScanError, match=r"^broken\.png: "):
        at_desk(predictor, lambda desk: desk.draw(broken, frame, HeatMapRequest(None, 0.5)))


def test_scans_are_decoded_in_the_desks_own_threads(predictor: Predictor) -> None:
    async def name(desk: InferenceWorker) -> tuple[str, str]:
        return (
            await desk.in_thread(lambda: threading.current_thread().name),
            await desk.in_study_thread(lambda: threading.current_thread().name),
        )

    decoding, study = at_desk(predictor, name)
    assert decoding.startswith("decode")
    assert study.startswith("study")
