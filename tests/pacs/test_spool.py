from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from brainslice.errors import DownloadError, ResourceError
from brainslice.inference.predictor import Predictor
from hospital import STUDY, axial_images

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("pynetdicom", reason="needs the extra brainslice[pacs]")


class Archive:
    """Takes answers, or not."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken: list[tuple[str, ...]] = []

    def deliver(self, files: Sequence[Path]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(tuple(each.name for each in files))


OBJECTS = ("brainslice_capture.dcm", "brainslice_map.dcm", "brainslice_report.dcm")
MakeQueue = Callable[..., object]


@pytest.fixture
def make_queue(predictor: Predictor, tmp_path: Path) -> MakeQueue:
    """Open the spool as a new process would."""
    from brainslice.pacs.spool import Spool, StudyQueue

    def make(archive: Archive, lines: list[str] | None = None, max_bytes: int = 1 << 30) -> StudyQueue:
        report = ([] if lines is None else lines).append
        return StudyQueue(Spool(tmp_path / "spool", max_bytes), predictor, archive.deliver, report, quiet_seconds=0.0)

    return make


def send(queue: object, study: str = STUDY, count: int = 8) -> None:
    for uid, data in axial_images("1.2.3", StudyInstanceUID=study)[:count]:
        queue.spool.add(study, "1.2.3", uid, data)  # type of the lazily imported queue is not named here


def left(tmp_path: Path) -> list[Path]:
    return [each for name in ("incoming", "outgoing") for each in (tmp_path / "spool" / name).glob("*")]


def test_a_study_is_answered_once_and_its_images_are_removed(make_queue: MakeQueue, tmp_path: Path) -> None:
    archive = Archive()
    queue = make_queue(archive)
    send(queue)
    assert left(tmp_path)
    assert queue.step() == 1
    assert archive.taken == [OBJECTS]
    assert not left(tmp_path)
    for later in (queue, make_queue(archive)):
        send(later)
        assert later.step() == 0
    assert archive.taken == [OBJECTS]
    assert not left(tmp_path)


def test_a_study_is_complete_only_after_a_quiet_time(make_queue: MakeQueue) -> None:
    archive = Archive()
    queue = make_queue(archive)
    send(queue)
    queue.quiet_seconds = 3600.0
    assert queue.step() == 0
    queue.quiet_seconds = 0.0
    assert queue.step() == 1


def test_an_answer_waits_on_the_disk_until_the_archive_takes_it(make_queue: MakeQueue, tmp_path: Path) -> None:
    archive, lines = Archive(DownloadError("ORTHANC: cannot be reached")), []
    queue = make_queue(archive, lines)
    send(queue)
    assert queue.step() == 0
    assert lines[-1].endswith("waits, tried again later: ORTHANC: cannot be reached")
    assert queue.step() == 0, "it waits before it tries again"
    assert not archive.taken
    # A process that was killed here answers after its restart, with what was made before.
    before = [(each.name, each.stat().st_mtime_ns) for each in (tmp_path / "spool").glob("outgoing/*/*.dcm")]
    assert make_queue(archive).step() == 1
    assert len(before) == 3
    assert archive.taken == [OBJECTS]


def test_what_a_killed_process_left_unfinished_is_done_again(
    make_queue: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import brainslice.pacs.spool as module

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    archive = Archive()
    queue = make_queue(archive)
    send(queue)
    with monkeypatch.context() as patch:
        patch.setattr(module, "answer_study", killed)
        with pytest.raises(KeyboardInterrupt):
            queue.step()
    (series,) = (tmp_path / "spool").glob("incoming/*/*")
    (series / ".0123456789abcdef.tmp-abcdefgh.dcm").write_bytes(b"half an image")
    assert make_queue(archive).step() == 1
    assert archive.taken == [OBJECTS]


def test_a_study_that_is_not_usable_is_marked_and_tried_again_only_when_it_is_sent_again(
    make_queue: MakeQueue, tmp_path: Path
) -> None:
    archive, lines = Archive(), []
    queue = make_queue(archive, lines)
    send(queue, count=2)
    send(queue, f"{STUDY}.9")
    assert queue.step() == 2
    assert [each for each in lines if "not usable" in each]
    assert archive.taken == [OBJECTS]
    assert not left(tmp_path)
    send(queue)
    assert queue.step() == 1
    assert archive.taken == [OBJECTS, OBJECTS]


def test_an_unexpected_error_stops_no_other_study_and_quotes_nothing(make_queue: MakeQueue) -> None:
    archive, lines = Archive(ValueError("Doe^Jane")), []
    queue = make_queue(archive, lines)
    send(queue)
    send(queue, f"{STUDY}.9")
    assert queue.step() == 1
    assert archive.taken == [OBJECTS]
    assert not [each for each in lines if "Doe" in each]


def test_a_full_spool_asks_senders_to_wait(make_queue: MakeQueue) -> None:
    queue = make_queue(Archive(), max_bytes=20_000)
    with pytest.raises(ResourceError, match="send later"):
        send(queue)
    queue.step()
    send(queue, count=3)


def test_requests_and_outcomes_are_logged_by_digest(make_queue: MakeQueue, tmp_path: Path) -> None:
    from brainslice.pacs.study import EventLog, digest_of

    queue = make_queue(Archive())
    queue.audit = EventLog(tmp_path / "audit.jsonl")
    queue.log_request(STUDY, "ORTHANC at 127.0.0.1")
    send(queue)
    queue.step()
    received, answered = queue.audit.read()
    assert (received["event"], received["caller"], answered["event"]) == (
        "received",
        "ORTHANC at 127.0.0.1",
        "answered",
    )
    assert received["study"] == answered["study"] == digest_of(STUDY)
    assert STUDY not in (tmp_path / "audit.jsonl").read_text()


def test_quiet_time_begins_anew_with_a_restart(make_queue: MakeQueue, tmp_path: Path) -> None:
    import os

    archive = Archive()
    send(make_queue(archive), count=4)
    for each in (tmp_path / "spool" / "incoming").rglob("*"):
        os.utime(each, (0, 0))
    queue = make_queue(archive)
    queue.quiet_seconds = 60.0
    assert queue.step() == 0
    send(queue)
    queue.quiet_seconds = 0.0
    assert queue.step() == 1
