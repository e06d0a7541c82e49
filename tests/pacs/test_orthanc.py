"""The way through a real PACS: sent, answered by the listener, killed in between, and once more over DICOMweb."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest

import orthanc
from brainslice.scan.volume.reader import read_volume
from command import call
from hospital import SERIES, axial_images, head, write_series
from orthanc import Orthanc

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("pynetdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("dicomweb_client", reason="needs the extra brainslice[pacs]")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        orthanc.PROGRAM is None or not orthanc.PLUGINS, reason="needs orthanc and orthanc-dicomweb, which are not here"
    ),
]
KINDS = Counter(["Comprehensive 3D SR Storage", "Parametric Map Storage", "Secondary Capture Image Storage"])


@pytest.fixture
def sources(real_scans: Path, tmp_path: Path) -> dict[str, Path]:
    """A real head, as its sagittal series, and cut into axial slices for two studies."""
    sagittal = real_scans / "dicom" / "series_head"
    volume = read_volume(sagittal)
    step, row, column = volume.spacing
    stack = volume.voxels[16::16].astype(np.uint16)
    made = {
        "sagittal": Path(
            shutil.copytree(sagittal, tmp_path / "sent" / "sagittal", ignore=shutil.ignore_patterns("LICENSE"))
        )
    }
    for name, number in (("sent", 1), ("stored", 2)):
        made[name] = write_series(
            tmp_path / "sent" / name,
            stack,
            step=16 * step,
            PixelSpacing=[row, column],
            StudyInstanceUID=f"{SERIES}.10.{number}",
            SeriesInstanceUID=f"{SERIES}.11.{number}",
            FrameOfReferenceUID=f"{SERIES}.12.{number}",
        )
    return made


class Listener:
    """``brainslice pacs listen`` as a process of its own."""

    def __init__(self, folder: Path, project: Path, server: Orthanc, port: int) -> None:
        self.folder = folder
        self.words = (
            *("pacs", "listen", "--project-root", project, "--spool", folder / "spool", "--port", port),
            *("--allow-ae", orthanc.TITLE, "--send-to", f"{orthanc.TITLE}@127.0.0.1:{server.dicom_port}"),
            *("--quiet-seconds", "1.5"),
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *program: str) -> None:
        with (self.folder / "listener.log").open("ab") as log:
            command = [sys.executable, *(program or ("-m", "brainslice.cli.main")), *map(str, self.words)]
            started = self.log.count("listening as")
            self.process = process = subprocess.Popen(command, stderr=log, stdout=log)
        wait_until(lambda: self.log.count("listening as") > started or process.poll() is not None)
        assert process.poll() is None, self.log

    def stop(self, number: int) -> int:
        """Send a signal, and wait for the end."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def log(self) -> str:
        path = self.folder / "listener.log"
        return path.read_text() if path.exists() else ""

    @property
    def outcomes(self) -> Counter[str]:
        path = self.folder / "spool" / "journal.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(json.loads(line)["event"] for line in lines)

    @property
    def images(self) -> int:
        return len(list((self.folder / "spool" / "incoming").glob("*/*/[!.]*.dcm")))


def wait_until(true: Callable[[], bool], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Orthanc, int]]:
    port = orthanc.free_port()
    with orthanc.running(tmp_path / "orthanc", {"BRAINSLICE": port}) as running:
        yield running, port


@pytest.fixture
def listener(server: tuple[Orthanc, int], project: Path, tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path, project, *server)
    yield made
    made.stop(signal.SIGKILL)


def send(server: Orthanc, study: str) -> None:
    """Let Orthanc send the MR series of a study, as a modality would."""
    found = server.find("Series", StudyInstanceUID=study, Modality="MR")
    server.call("/modalities/BRAINSLICE/store", json.dumps([each["ID"] for each in found]).encode())


def check_answer(server: Orthanc, study: str, folder: Path, errors_of: Callable[[Path], list[str]]) -> None:
    """Find one report, one map and one key image in a study, without errors."""
    import pydicom

    answers = [
        server.file(each["ID"])
        for modality in ("SR", "OT")
        for each in server.find("Instance", StudyInstanceUID=study, Modality=modality)
    ]
    kinds = Counter[str]()
    for number, data in enumerate(answers):
        path = folder / f"{study}_{number}.dcm"
        path.write_bytes(data)
        made = pydicom.dcmread(path)
        kinds[made.SOPClassUID.name] += 1
        assert made.StudyInstanceUID == study
        assert errors_of(path) == []
    assert kinds == KINDS


KILLED_AFTER_STORING = """
import os, signal, sys
from brainslice.cli.main import main
from brainslice.pacs.spool import Spool

record = Spool.record

def kill_or_record(spool, event, *given, **details):
    if event == "answered":
        os.kill(os.getpid(), signal.SIGKILL)
    record(spool, event, *given, **details)

Spool.record = kill_or_record
main(*sys.argv[1:])
"""


def add_drawn(server: Orthanc, number: int) -> str:
    """Put a drawn head into Orthanc."""
    series = f"{SERIES}.21.{number}"
    study = f"{SERIES}.20.{number}"
    for _, data in axial_images(series, head(24), StudyInstanceUID=study, FrameOfReferenceUID=f"{SERIES}.22.{number}"):
        server.call("/instances", data)
    return study


def send_each(server: Orthanc, studies: list[str]) -> list[str]:
    """Let Orthanc send studies, and return those that it could not send, as the listener was killed meanwhile."""
    failed = []
    for study in studies:
        try:
            send(server, study)
        except HTTPError:
            failed.append(study)
    return failed


def test_listener_killed_between_storing_and_marking_leaves_one_answer(
    server: tuple[Orthanc, int], listener: Listener, errors_of: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    running, _ = server
    listener.start("-c", KILLED_AFTER_STORING)
    study = add_drawn(running, 1)
    send(running, study)
    assert listener.process is not None
    assert listener.process.wait(90) == -signal.SIGKILL
    assert not listener.outcomes["answered"]
    check_answer(running, study, tmp_path, errors_of)
    listener.start()
    wait_until(lambda: listener.outcomes["answered"] == 1)
    check_answer(running, study, tmp_path, errors_of)


@pytest.mark.slow_only
@pytest.mark.timeout(1800)
def test_listener_killed_ten_times_at_random_moments_answers_each_study_once(
    server: tuple[Orthanc, int], listener: Listener, errors_of: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    running, _ = server
    moments, kills = np.random.default_rng(14).uniform(0, 6, 10), Counter[str]()
    studies = [add_drawn(running, number) for number in range(10)]
    unsent = list[str]()
    for number, moment in enumerate(moments):
        listener.start(*(("-c", KILLED_AFTER_STORING) if number % 2 else ()))
        unsent = send_each(running, [*unsent, studies[number]])
        assert listener.process is not None
        with suppress(subprocess.TimeoutExpired):
            listener.process.wait(60 if number % 2 else float(moment))
        kills["after storing" if listener.process.poll() is not None else "at a random moment"] += 1
        listener.stop(signal.SIGKILL)
    listener.start()
    assert not send_each(running, unsent)
    wait_until(lambda: listener.outcomes["answered"] >= 10 and listener.images == 0)
    for study in studies:
        check_answer(running, study, tmp_path, errors_of)
    assert listener.outcomes["answered"] == 10
    assert set(re.findall(r"\((\d+) axial slices", listener.log)) == {"24"}
    assert kills == {"after storing": 5, "at a random moment": 5}


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.slow_only)])
def test_a_real_archive_gets_one_answer_a_study_even_if_the_listener_is_killed(  # noqa: PLR0917 - fixtures
    kills: int,
    server: tuple[Orthanc, int],
    listener: Listener,
    sources: dict[str, Path],
    project: Path,
    errors_of: Callable[[Path], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running, _ = server
    for name in ("sagittal", "sent"):
        running.add(sources[name])
    studies = {each["MainDicomTags"]["StudyInstanceUID"] for each in running.find("Study")}
    answered = f"{SERIES}.10.1"
    (marked,) = studies - {answered}
    listener.start()
    for study in studies:
        send(running, study)
    assert listener.images == 47
    for number in range(kills):
        # Before the quiet time is over, while it predicts, and later.
        time.sleep(0.3 * number)
        listener.stop(signal.SIGKILL)
        listener.start()
    # Killed between the mark and the removal of the images, it marks a study once more; it never answers one again.
    wait_until(lambda: listener.outcomes["answered"] == 1 and listener.outcomes["not usable"] >= 1)
    wait_until(lambda: listener.images == 0)
    check_answer(running, answered, tmp_path, errors_of)
    assert not running.find("Instance", StudyInstanceUID=marked, Modality="SR")
    # Sent again, it is not answered again.
    send(running, answered)
    wait_until(lambda: "answered before" in listener.log)
    assert listener.stop(signal.SIGTERM) == 0
    assert listener.outcomes["answered"] == 1
    assert not [secret for secret in ("anonymized", "Doe", "4711", answered, marked) if secret in listener.log]

    running.add(sources["stored"])
    monkeypatch.setenv("BRAINSLICE_PACS_CREDENTIALS", running.credentials)
    words = ("pacs", "predict", running.dicomweb, "--project-root", project, "--state", tmp_path / "state")
    assert call(*words) == 0
    assert "1 not stored (dry run)" in capsys.readouterr().err
    assert not running.find("Instance", StudyInstanceUID=f"{SERIES}.10.2", Modality="SR")
    assert call(*words, "--store") == 0
    summary = capsys.readouterr().err
    assert [each for each in ("1 answered,", "1 answered before", "1 not usable") if each not in summary] == []
    check_answer(running, f"{SERIES}.10.2", tmp_path, errors_of)
    check_answer(running, answered, tmp_path, errors_of)
