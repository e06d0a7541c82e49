from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pytest

from brainslice.errors import DownloadError, UsageError
from brainslice.inference.predictor import Predictor
from hospital import PATIENT, STUDY, axial_images
from orthanc import free_port

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("pynetdicom", reason="needs the extra brainslice[pacs]")

from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, CTImageStorage, MRImageStorage
from pynetdicom import AE, evt

from brainslice.pacs.listener import VERIFICATION


class Running:
    """A listener in a thread, with what it wrote."""

    def __init__(self, port: int, lines: list[str], folder: Path, queue: object) -> None:
        self.port, self.lines, self.folder, self.queue = port, lines, folder, queue

    def connect(self, title: str = "SCANNER", called: str = "BRAINSLICE") -> object:
        entity = AE(ae_title=title)
        for kind in (VERIFICATION, MRImageStorage, CTImageStorage):
            entity.add_requested_context(kind)
        return entity.associate("127.0.0.1", self.port, ae_title=called)


@pytest.fixture
def listener(predictor: Predictor, tmp_path: Path) -> Iterator[Running]:
    from brainslice.pacs.listener import ListenerSettings, listen
    from brainslice.pacs.spool import Spool, StudyQueue
    from brainslice.pacs.study import EventLog

    lines: list[str] = []
    started, stop, port = threading.Event(), threading.Event(), free_port()

    def report(line: str) -> None:
        lines.append(line)
        started.set()

    def deliver(_: Sequence[Path]) -> None:
        raise AssertionError

    spool = Spool(tmp_path / "spool", max_bytes=40_000)
    audit = EventLog(tmp_path / "audit.jsonl")
    queue = StudyQueue(spool, predictor, deliver, report, quiet_seconds=3600.0, audit=audit)
    settings = ListenerSettings("127.0.0.1", port, "BRAINSLICE", ("SCANNER",))
    thread = threading.Thread(target=listen, args=(queue, settings, stop))
    thread.start()
    assert started.wait(30)
    yield Running(port, lines, tmp_path, queue)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def said(listener: Running, text: str) -> bool:
    for _ in range(200):
        if any(text in each for each in listener.lines):
            return True
        time.sleep(0.05)
    return False


def test_it_answers_an_echo_and_keeps_what_it_accepts(listener: Running) -> None:
    association = listener.connect()
    assert association.is_established
    assert association.send_c_echo().Status == 0
    for _, data in axial_images("1.2.3")[:3]:
        assert association.send_c_store(dcmread(BytesIO(data))).Status == 0
    association.release()
    stored = sorted((listener.folder / "spool" / "incoming").rglob("*.dcm"))
    assert len(stored) == 3
    assert dcmread(stored[0]).StudyInstanceUID == STUDY
    audit = (listener.folder / "audit.jsonl").read_text()
    assert audit.count("SCANNER at 127.0.0.1") == 1
    assert not [secret for secret in (PATIENT, "4711", STUDY) if secret in audit + "".join(listener.lines)]


@pytest.mark.parametrize(("title", "called"), [("STRANGER", "BRAINSLICE"), ("SCANNER", "OTHER")])
def test_who_is_not_on_the_list_is_refused_and_logged(title: str, called: str, listener: Running) -> None:
    association = listener.connect(title, called)
    assert association.is_rejected
    assert said(listener, f"association refused: {title} at 127.0.0.1")


def test_a_full_spool_is_out_of_resources_and_an_image_without_a_study_does_not_match(listener: Running) -> None:
    association = listener.connect()
    nameless = dcmread(BytesIO(axial_images("1.2.3")[0][1]))
    del nameless.StudyInstanceUID
    assert association.send_c_store(nameless).Status == 0xA900
    statuses = [association.send_c_store(dcmread(BytesIO(data))).Status for _, data in axial_images("1.2.3")]
    association.release()
    assert statuses[0] == 0
    assert statuses[-1] == 0xA700
    assert [each for each in listener.lines if each.startswith("busy: ")]


def test_study_whose_transfer_broke_off_is_marked_unless_its_sender_goes_on(listener: Running) -> None:
    def send(end: str, study: str, count: int) -> None:
        association = listener.connect()
        for _, data in axial_images("1.2.3", StudyInstanceUID=study)[:count]:
            assert association.send_c_store(dcmread(BytesIO(data))).Status == 0
        getattr(association, end)()

    send("abort", STUDY, 3)
    send("release", STUDY, 5)
    send("abort", f"{STUDY}.9", 2)
    time.sleep(0.5)
    listener.queue.quiet_seconds = 0.2
    # The first is answered, which the deliverer of this test refuses.
    assert said(listener, "waits, tried again later: AssertionError")
    assert said(
        listener,
        "not usable: the transfer broke off or there was no room, so images may be missing; send the study again",
    )
    assert len([each for each in listener.lines if "broke off" in each]) == 1


def test_study_of_which_an_image_was_refused_is_not_answered_until_it_is_sent_again(listener: Running) -> None:
    images = [dcmread(BytesIO(data)) for _, data in axial_images("1.2.3")]

    def send() -> int:
        association = listener.connect()
        statuses = [association.send_c_store(image).Status for image in images]
        association.release()
        return statuses[-1]

    assert send() == 0xA700
    listener.queue.quiet_seconds = 0.1
    assert said(listener, "not usable: the transfer broke off or there was no room, so images may be missing")
    listener.queue.spool._max_bytes = 1 << 30
    assert send() == 0
    # It is answered now, which the deliverer of this test refuses.
    assert said(listener, "waits, tried again later: AssertionError")


def test_only_magnetic_resonance_images_are_accepted(listener: Running) -> None:
    association = listener.connect()
    accepted = {each.abstract_syntax for each in association.accepted_contexts}
    association.release()
    assert accepted == {VERIFICATION, MRImageStorage}


# Its sockets are closed late if nobody answers.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_answer_is_sent_and_what_the_receiver_does_not_take_is_reported(
    predictor: Predictor, tmp_path: Path
) -> None:
    from brainslice.pacs.listener import Peer, send_by_c_store
    from brainslice.pacs.study import StudyRules, answer_study, save_image

    for uid, data in axial_images("1.2.3"):
        save_image(tmp_path / "study", "1.2.3", uid, data)
    files = answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules()).objects
    lines, taken, port = [], [], free_port()
    peer, statuses = Peer("ARCHIVE", "127.0.0.1", port), [0x0000, 0xA700]

    def store(event: evt.Event) -> int:
        taken.append(event.dataset.SOPClassUID.name)
        return statuses[len(taken) - 1]

    with pytest.raises(DownloadError, match="cannot be reached"):
        send_by_c_store("BRAINSLICE", peer, lines.append)(files)
    archive = AE(ae_title="ARCHIVE")
    archive.add_supported_context(Comprehensive3DSRStorage)
    archive.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        send = send_by_c_store("BRAINSLICE", peer, lines.append)
        send(files)
        assert taken == ["Comprehensive 3D SR Storage"]
        assert len(lines) == 2
        with pytest.raises(DownloadError, match="status 0xa700"):
            send(files)
    finally:
        archive.shutdown()


@pytest.mark.parametrize("text", ["ORTHANC", "ORTHANC@host", "ORTHANC@host:dicom", "@host:104", "A\\B@host:104"])
def test_a_peer_is_a_title_a_host_and_a_port(text: str) -> None:
    from brainslice.pacs.listener import Peer

    assert Peer.parse("ORTHANC@127.0.0.1:4242") == Peer("ORTHANC", "127.0.0.1", 4242)
    with pytest.raises(UsageError):
        Peer.parse(text)


def test_a_listener_needs_to_know_who_may_call() -> None:
    from brainslice.pacs.listener import ListenerSettings

    with pytest.raises(UsageError, match="--allow-ae"):
        ListenerSettings("127.0.0.1", 0, "BRAINSLICE", ())
    with pytest.raises(UsageError, match="1 to 16"):
        ListenerSettings("127.0.0.1", 0, "A" * 17, ("SCANNER",))
