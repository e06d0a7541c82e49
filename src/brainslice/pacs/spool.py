"""Received studies on the disk, until they are answered: nothing accepted is lost if the process is killed."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from brainslice.errors import BrainsliceError, ResourceError, UnreadableScanError
from brainslice.files import atomic_folder, clear_leftovers
from brainslice.inference import Predictor
from brainslice.pacs.study import ANSWERED, NOT_USABLE, EventLog, StudyRules, answer_study, digest_of, save_image

Deliver = Callable[[Sequence[Path]], None]
"""Sends the files of an answer; raises ``DownloadError`` if the archive does not take them."""

STARTED: Final = "started"
"""The event before a study is predicted."""

_FIRST_PAUSE, _MAX_PAUSE = 2.0, 300.0
# For so many quiet times, the sender of a transfer that broke off may go on with it.
_QUIET_TIMES_TO_RESUME = 10


class Spool:
    """Folders of received studies and of answers to send, with a journal of what was done.

    ``incoming/STUDY`` holds images, ``outgoing/STUDY`` an answer that is complete. The journal is written before a
    folder is removed, so that a study is answered after a crash, and not twice.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Open a spool.

        Args:
            folder: Its folder.
            max_bytes: The most bytes of images; beyond them senders are asked to wait.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # Images of patients are for this account only.
        folder.chmod(0o700)
        self._incoming, self._outgoing = folder / "incoming", folder / "outgoing"
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._journal = EventLog(folder / "journal.jsonl")
        self._started, self._answered = Counter[str](), set[tuple[str, str]]()
        for event in self._journal.read():
            self._count(event["event"], event["study"], event["bundle"])
        for leftover in (self._outgoing, *self._incoming.glob("*/*")):
            clear_leftovers(leftover)
        # The quiet time begins anew, in which senders repeat what they could not send.
        for study in self._incoming.glob("[!.]*"):
            os.utime(study)
        self._used = self._size()

    def add(self, study: str, series: str, instance: str, data: bytes) -> bool:
        """Write a received image.

        Args:
            study: The Study Instance UID.
            series: The Series Instance UID.
            instance: The SOP Instance UID.
            data: The file.

        Returns:
            Whether it is the first of its study.

        Raises:
            ResourceError: The spool or the disk is full.
        """
        folder = self._incoming / digest_of(study)
        with self._lock:
            first = not folder.exists()
            if self._used + len(data) > self._max_bytes:
                msg = f"{self._incoming}: holds {self._used:,} bytes of studies that wait for an answer; send later"
                raise ResourceError(msg)
            self._used += save_image(folder, series, instance, data)
        return first

    def ready(self, quiet_seconds: float) -> list[str]:
        """List studies with a complete answer, and those that no image was added to for some time.

        Those that were started most often come last: one that ends the process must not hold up the others.
        """
        names = {each.name for each in self._outgoing.glob("[!.]*")}
        before = time.time() - quiet_seconds
        for study in self._incoming.glob("[!.]*"):
            if max(each.stat().st_mtime for each in (study, *study.iterdir())) <= before:
                names.add(study.name)
        return sorted(names, key=lambda name: (self._started[name], name))

    def images(self, study: str) -> Path:
        """Return the folder of a study's images."""
        return self._incoming / study

    def answer(self, study: str) -> Path:
        """Return the folder of a study's answer; it exists only if it is complete."""
        return self._outgoing / study

    def remove(self, study: str) -> None:
        """Delete images and answer of a study."""
        with self._lock:
            shutil.rmtree(self._incoming / study, ignore_errors=True)
            self._used = self._size()
        shutil.rmtree(self._outgoing / study, ignore_errors=True)

    def record(self, event: str, study: str, bundle: str, **details: str) -> None:
        """Write an event to the journal."""
        self._journal.write(event, study=study, bundle=bundle, **details)
        self._count(event, study, bundle)

    def was_answered(self, study: str, bundle: str) -> bool:
        """Check whether a study has an answer of a model in the archive."""
        return (study, bundle) in self._answered

    def _count(self, event: str, study: str, bundle: str) -> None:
        if event == STARTED:
            self._started[study] += 1
        elif event == ANSWERED:
            self._answered.add((study, bundle))

    def _size(self) -> int:
        return sum(each.stat().st_size for each in self._incoming.rglob("*") if each.is_file())


@dataclass(slots=True, eq=False)
class StudyQueue:
    """Answers the studies of a spool one after the other.

    Attributes:
        spool: The spool.
        predictor: The predictor.
        deliver: Sends an answer.
        report: Called with a line for each step, without patient data.
        quiet_seconds: How long no image must have come before a study counts as complete.
        rules: Which studies are answered.
        audit: The log of what was asked and answered; None for none.
    """

    spool: Spool
    predictor: Predictor
    deliver: Deliver
    report: Callable[[str], None]
    quiet_seconds: float = 30.0
    rules: StudyRules = field(default_factory=StudyRules)
    audit: EventLog | None = None
    _pauses: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)
    _broken: set[str] = field(default_factory=set, init=False)

    def step(self) -> int:
        """Answer the studies that are ready; one that fails does not stop the others.

        Returns:
            The number of studies that are done with, answered or marked.
        """
        done = 0
        resumed_in_time = self.quiet_seconds * _QUIET_TIMES_TO_RESUME
        waiting = self._broken.difference(self.spool.ready(resumed_in_time)) if self._broken else set()
        for study in self.spool.ready(self.quiet_seconds):
            if study in waiting or self._pauses.get(study, (0.0, 0.0))[0] > time.monotonic():
                continue
            try:
                done += self._answer(study)
            except UnreadableScanError as error:
                self._end(study, NOT_USABLE, reason=str(error))
                self.report(f"study {study}: {NOT_USABLE}: {error}")
                done += 1
            except Exception as error:  # noqa: BLE001 - no study may stop the others
                self._pause(study)
                # Messages of libraries may quote patient data.
                reason = str(error) if isinstance(error, BrainsliceError) else type(error).__name__
                self.report(f"study {study}: waits, tried again later: {reason}")
        return done

    def log_request(self, study: str, caller: str) -> None:
        """Add a received study to the audit log.

        Args:
            study: The Study Instance UID.
            caller: Title and address of the sender.
        """
        if self.audit is not None:
            self.audit.write("received", study=digest_of(study), caller=caller, bundle=self._bundle)

    def end_transfer(self, study: str, *, complete: bool) -> None:
        """Note how a connection that sent images of a study ended.

        Args:
            study: The Study Instance UID.
            complete: Whether the sender ended it and every image was stored; otherwise images may be missing.
        """
        (self._broken.discard if complete else self._broken.add)(digest_of(study))

    def _answer(self, study: str) -> bool:
        if self.spool.was_answered(study, self._bundle):
            self.spool.remove(study)
            self.report(f"study {study}: was answered before, so its images were removed")
            return False
        answer = self.spool.answer(study)
        if not answer.exists():
            if study in self._broken:
                msg = "the transfer broke off or there was no room, so images may be missing; send the study again"
                raise UnreadableScanError(msg)
            self.spool.record(STARTED, study, self._bundle)
            with atomic_folder(answer) as temporary:
                found = answer_study(self.predictor, self.spool.images(study), temporary, self.rules)
            self.report(f"study {study}: {found}")
        self.deliver(sorted(answer.glob("*.dcm")))
        self._end(study, ANSWERED)
        self.report(f"study {study}: {ANSWERED}")
        return True

    @property
    def _bundle(self) -> str:
        return self.predictor.bundle.info.digest

    def _end(self, study: str, outcome: str, **details: str) -> None:
        self.spool.record(outcome, study, self._bundle, **details)
        if self.audit is not None:
            self.audit.write(outcome, study=study, bundle=self._bundle)
        self.spool.remove(study)
        self._pauses.pop(study, None)
        self._broken.discard(study)

    def _pause(self, study: str) -> None:
        pause = min(2 * self._pauses.get(study, (0.0, _FIRST_PAUSE / 2))[1], _MAX_PAUSE)
        self._pauses[study] = (time.monotonic() + pause, pause)
