from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from brainslice.arrays import NetworkInput
from brainslice.deadline import time_limit
from brainslice.errors import BundleError, TimeLimitError, UnreadableScanError
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.scan.types import RemarkCode
from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.metrics import Metrics
from brainslice.service.settings import Batching, Limits
from brainslice.service.uploads import UploadedFile
from brainslice.service.worker import Batcher, HeatMapRequest, InferenceWorker, Threads
from hospital import image, written


def with_worker(predictor: Predictor, work: Callable[[InferenceWorker], Awaitable[object]]) -> object:
    async def scene() -> object:
        metrics = Metrics(ConcurrencyLimit(Limits()), "0", "0" * 64)
        worker = InferenceWorker(predictor, Batching(threads=1), metrics)
        worker.start()
        try:
            return await work(worker)
        finally:
            await worker.stop()

    return asyncio.run(scene())


def uploads(scans: list[Path]) -> list[UploadedFile]:
    return [UploadedFile(path.name, path.read_bytes()) for path in scans]


def test_answers_come_in_the_order_of_the_files(predictor: Predictor, scans: list[Path]) -> None:
    files = [*uploads(scans[:2]), UploadedFile("broken.png", b"x"), *uploads(scans[2:4])]
    found = with_worker(predictor, lambda worker: worker.predict(files))
    assert isinstance(found, list)
    assert [answer.source for answer in found] == [file.name for file in files]
    assert [type(answer) for answer in found] == [Prediction, Prediction, Refusal, Prediction, Prediction]


@pytest.mark.parametrize("frame", [None, 7])
def test_explaining_an_unreadable_scan_raises(predictor: Predictor, frame: int | None) -> None:
    broken = UploadedFile("broken.png", b"x")
    with pytest.raises(UnreadableScanError, match=r"^broken\.png: "):
        with_worker(predictor, lambda worker: worker.explain(broken, frame))
    with pytest.raises(UnreadableScanError, match=r"^broken\.png: "):
        with_worker(predictor, lambda worker: worker.draw(broken, frame, HeatMapRequest(None, 0.5)))


def test_scans_are_decoded_in_the_workers_own_threads(predictor: Predictor) -> None:
    async def name(worker: InferenceWorker) -> tuple[str, str]:
        return (
            await worker.scan_threads.run(lambda: threading.current_thread().name),
            await worker.study_threads.run(lambda: threading.current_thread().name),
        )

    decoding, study = with_worker(predictor, name)
    assert decoding.startswith("decode")
    assert study.startswith("study")


def pictures(count: int) -> list[NetworkInput]:
    rng = np.random.default_rng(4)
    return [rng.integers(0, 255, size=(64, 64), dtype=np.uint8) for _ in range(count)]


def answered(predictor: Predictor, count: int, batching: Batching) -> tuple[list[Prediction], list[int]]:
    sizes: list[int] = []

    async def scene() -> list[Prediction]:
        batcher = Batcher(predictor.predict_inputs, batching, sizes.append)
        batcher.start()
        found = await asyncio.gather(*(batcher.submit(str(place), seen) for place, seen in enumerate(pictures(count))))
        await batcher.stop()
        return found

    return asyncio.run(scene()), sizes


def test_batched_predictions_equal_single_ones(predictor: Predictor) -> None:
    together, sizes = answered(predictor, 20, Batching(size=8, batches=1))
    assert sizes == [8, 8, 4]
    for place, (answer, seen) in enumerate(zip(together, pictures(20), strict=True)):
        (alone,) = predictor.predict_inputs([str(place)], [seen])
        assert answer.source == str(place)
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        np.testing.assert_allclose(answer.class_maps, alone.class_maps, atol=1e-6)


def test_batch_size_of_one(predictor: Predictor) -> None:
    _, sizes = answered(predictor, 5, Batching(size=1))
    assert sizes == [1] * 5


def test_scans_submitted_during_a_run_form_the_next_batch() -> None:
    running, go_on, sizes = threading.Event(), threading.Event(), []

    def slow(names: Sequence[str], _: Sequence[NetworkInput]) -> list[Prediction]:
        running.set()
        go_on.wait(30)
        msg = f"{len(names)} asked"
        raise BundleError(msg)

    async def scene() -> list[BaseException]:
        batcher = Batcher(slow, Batching(size=8, batches=1), sizes.append)
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


def test_batches_run_at_the_same_time(predictor: Predictor) -> None:
    both = threading.Barrier(2, timeout=30)

    def predict(names: Sequence[str], inputs: Sequence[NetworkInput]) -> list[Prediction]:
        both.wait()
        return predictor.predict_inputs(names, inputs)

    async def scene() -> list[Prediction]:
        batcher = Batcher(predict, Batching(size=1, batches=2), lambda _: None)
        batcher.start()
        found = await asyncio.gather(*(batcher.submit(str(place), seen) for place, seen in enumerate(pictures(4))))
        await batcher.stop()
        return found

    assert [found.source for found in asyncio.run(scene())] == list("0123")


def test_cancelled_requests_do_not_affect_the_batch(predictor: Predictor) -> None:
    async def scene() -> Prediction:
        batcher = Batcher(predictor.predict_inputs, Batching(batches=1), lambda _: None)
        batcher.start()
        first, second = (asyncio.create_task(batcher.submit(name, pictures(1)[0])) for name in "ab")
        await asyncio.sleep(0)
        first.cancel()
        found = await second
        await batcher.stop()
        return found

    assert asyncio.run(scene()).source == "b"


def test_expired_scans_are_not_run(predictor: Predictor) -> None:
    go_on, running, sizes = threading.Event(), threading.Event(), []

    def slow(names: Sequence[str], inputs: Sequence[NetworkInput]) -> list[Prediction]:
        running.set()
        go_on.wait(30)
        return predictor.predict_inputs(names, inputs)

    async def scene() -> list[object]:
        batcher = Batcher(slow, Batching(size=1, batches=1), sizes.append)
        batcher.start()
        first = asyncio.create_task(batcher.submit("first", pictures(1)[0]))
        await asyncio.to_thread(running.wait, 30)
        with time_limit(0.01):
            second = asyncio.create_task(batcher.submit("second", pictures(1)[0]))
        await asyncio.sleep(0.05)
        go_on.set()
        found = await asyncio.gather(first, second, return_exceptions=True)
        await batcher.stop()
        return found

    found = asyncio.run(scene())
    assert [type(each) for each in found] == [Prediction, TimeLimitError]
    assert sizes == [1]


def test_hanging_threads_make_the_worker_unusable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("brainslice.service.worker.OVERDUE_SECONDS", 0.05)
    go_on = threading.Event()

    async def scene() -> tuple[bool, bool, int]:
        threads = Threads(1, "test")
        with time_limit(0.5):
            lost = asyncio.create_task(threads.run(go_on.wait, 30))
        while not threads.busy:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.01)
        before = threads.usable
        await asyncio.sleep(0.7)
        after, busy = threads.usable, threads.busy
        threads.close()
        go_on.set()
        await lost
        return before, after, busy

    assert asyncio.run(scene()) == (True, False, 1)


def test_remarks_on_a_file_are_in_its_prediction(predictor: Predictor) -> None:
    pixels = np.random.default_rng(5).integers(0, 4096, (64, 64)).astype(np.uint16)
    upload = UploadedFile("a.dcm", written(image(pixels, WindowCenter=40, WindowWidth=400)))
    (found,) = with_worker(predictor, lambda worker: worker.predict([upload]))
    explained = with_worker(predictor, lambda worker: worker.explain(upload, None))
    assert [remark.code for remark in found.remarks] == [RemarkCode.WINDOW]
    assert explained["prediction"]["remarks"] == [remark.to_json() for remark in found.remarks]
