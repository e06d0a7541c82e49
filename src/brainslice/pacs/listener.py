"""A DICOM listener: a storage and verification SCP that accepts MR images, and the sender of answers by C-STORE."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EnhancedMRImageStorage,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from brainslice.errors import DownloadError, ResourceError, UsageError
from brainslice.pacs.spool import StudyQueue
from brainslice.pacs.tls import TlsFiles
from brainslice.scan import printable

VERIFICATION: Final = "1.2.840.10008.1.1"
"""The SOP class of C-ECHO."""

_SUCCESS, _OUT_OF_RESOURCES, _NOT_MATCHING = 0x0000, 0xA700, 0xA900
# The archive has stored the object, changed or in part.
_WARNINGS: Final = range(0xB000, 0xC000)
_MAX_TITLE: Final = 16
_MAX_PORT: Final = 65_535
_POLL_SECONDS: Final = 0.5
_TIMEOUT_SECONDS: Final = 30
# Senders may keep a connection open after the last image until it times out here; one that ends sooner broke off.
_BREAK_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM application on the network.

    Attributes:
        title: Its application entity title.
        host: Its address.
        port: Its port.
    """

    title: str
    host: str
    port: int

    def __post_init__(self) -> None:
        """Check the title."""
        check_title(self.title)

    @classmethod
    def parse(cls, text: str) -> Peer:
        """Parse ``TITLE@HOST:PORT``.

        Raises:
            UsageError: The text has another form.
        """
        title, _, address = text.partition("@")
        host, _, port = address.rpartition(":")
        if not (title and host and port.isdecimal()):
            msg = f"must be TITLE@HOST:PORT, such as ORTHANC@127.0.0.1:4242, got {text!r}"
            raise UsageError(msg)
        return cls(title, host, int(port))


def check_title(title: str) -> str:
    """Check an application entity title.

    Raises:
        UsageError: It is empty, longer than 16 characters, or has a character that titles cannot have.
    """
    if not (0 < len(title.strip()) <= _MAX_TITLE and title.isascii() and title.isprintable() and "\\" not in title):
        msg = f"an AE title must have 1 to {_MAX_TITLE} ASCII characters and no backslash, got {title!r}"
        raise UsageError(msg)
    return title


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Settings of the listener.

    Attributes:
        host: The address to listen on.
        port: The port; 0 for a free one.
        title: The AE title of the listener, which callers must use.
        callers: The AE titles of allowed callers.
        max_associations: Maximum number of simultaneous connections; others are rejected temporarily.
        tls: The certificates for TLS; None for connections without it.
    """

    host: str
    port: int
    title: str
    callers: tuple[str, ...]
    max_associations: int = 8
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        """Check port and titles."""
        if not 0 <= self.port <= _MAX_PORT:
            msg = f"port must be 0 to {_MAX_PORT}, got {self.port}"
            raise UsageError(msg)
        for title in (self.title, *self.callers):
            check_title(title)
        if not self.callers:
            msg = "at least one sender must be allowed; give its AE title with --allow-ae"
            raise UsageError(msg)


def listen(queue: StudyQueue, settings: ListenerSettings, stop: threading.Event) -> None:
    """Receive images and answer their studies until ``stop`` is set.

    Args:
        queue: The queue that answers.
        settings: Where to listen, and to whom.
        stop: Ends the listener after the study in work.

    Raises:
        UsageError: The address is taken, or a file of ``settings.tls`` is invalid.
    """
    context = settings.tls.for_listener() if settings.tls else None
    entity = AE(ae_title=settings.title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(settings.callers)
    entity.maximum_associations = settings.max_associations
    entity.network_timeout = entity.dimse_timeout = entity.acse_timeout = _TIMEOUT_SECONDS
    entity.add_supported_context(VERIFICATION)
    for image in (MRImageStorage, EnhancedMRImageStorage):
        entity.add_supported_context(image, ALL_TRANSFER_SYNTAXES)
    transfers = _Transfers(queue)
    handlers: list[Any] = [
        (evt.EVT_C_STORE, _store, [queue, transfers]),
        (evt.EVT_RELEASED, transfers.released),
        (evt.EVT_CONN_CLOSE, transfers.closed),
        (evt.EVT_REJECTED, _log_refusal, [queue]),
    ]
    try:
        address = (settings.host, settings.port)
        server = entity.start_server(address, block=False, ssl_context=context, evt_handlers=handlers)
    except OSError as error:
        msg = f"{settings.host}:{settings.port}: cannot listen ({error.strerror}); choose another --port"
        raise UsageError(msg) from error
    port = settings.port if server is None else server.server_address[1]
    queue.report(f"listening as {settings.title}@{settings.host}:{port}{' with TLS' if context else ''}")
    try:
        while not stop.wait(_POLL_SECONDS):
            queue.step()
    finally:
        entity.shutdown()


def send_by_c_store(
    title: str, peer: Peer, report: Callable[[str], None], tls: TlsFiles | None = None
) -> Callable[[Sequence[Path]], None]:
    """Make a sender of answers by C-STORE.

    Args:
        title: The sender's application entity title.
        peer: The receiver.
        report: Called with a line for an object of a kind that the receiver does not take.
        tls: The certificates for TLS; None for a connection without it.

    Returns:
        A function that sends files; it raises ``DownloadError`` if the receiver cannot be reached or is busy.

    Raises:
        UsageError: A file of ``tls`` is invalid.
    """
    tls_args = (tls.for_sender(), peer.host) if tls else None
    entity = AE(ae_title=title)
    entity.network_timeout = entity.dimse_timeout = entity.acse_timeout = entity.connection_timeout = _TIMEOUT_SECONDS
    for kind in (Comprehensive3DSRStorage, ParametricMapStorage, SecondaryCaptureImageStorage):
        entity.add_requested_context(kind)

    def send(files: Sequence[Path]) -> None:
        association = entity.associate(peer.host, peer.port, ae_title=peer.title, tls_args=tls_args)
        if not association.is_established:
            others = ", or one side does not accept the other's certificate" if tls else ""
            msg = f"{peer.title}@{peer.host}:{peer.port}: refuses the connection or cannot be reached{others}"
            raise DownloadError(msg)
        try:
            accepted = {context.abstract_syntax for context in association.accepted_contexts}
            for file in files:
                dataset = dcmread(file)
                if dataset.SOPClassUID not in accepted:
                    report(f"{peer.title}: does not take {dataset.SOPClassUID.name}; this object was not sent")
                    continue
                status = association.send_c_store(dataset).get("Status", -1)
                if status != _SUCCESS and status not in _WARNINGS:
                    msg = f"{peer.title}: answered with status {status:#06x}"
                    raise DownloadError(msg)
        finally:
            association.release()

    return send


class _Transfers:
    """The studies that each connection sends, to tell those whose transfer broke off."""

    def __init__(self, queue: StudyQueue) -> None:
        self._queue = queue
        self._sent: WeakKeyDictionary[Association, dict[str, float]] = WeakKeyDictionary()
        self._refused: set[tuple[str, str]] = set()

    def stored(self, association: Association, study: str, instance: str) -> None:
        """Note an image."""
        self._sent.setdefault(association, {})[study] = time.monotonic()
        self._refused.discard((study, instance))

    def refused(self, association: Association, study: str, instance: str) -> None:
        """Note an image that there was no room for; its sender may repeat it or not."""
        self._sent.setdefault(association, {})[study] = time.monotonic()
        self._refused.add((study, instance))

    def released(self, event: Event) -> None:
        """Note that a connection ended after all of its images."""
        lacking = {study for study, _ in self._refused}
        for study in self._sent.pop(event.assoc, {}):
            self._queue.end_transfer(study, complete=study not in lacking)

    def closed(self, event: Event) -> None:
        """Note that a connection ended; where it was released, before this or after, that counts."""
        for study, last in tuple(self._sent.get(event.assoc, {}).items()):
            if time.monotonic() - last < _BREAK_SECONDS:
                self._queue.end_transfer(study, complete=False)


def _store(event: Event, queue: StudyQueue, transfers: _Transfers) -> int:
    dataset = event.dataset
    uids = [str(dataset.get(f"{level}InstanceUID", "")) for level in ("Study", "Series", "SOP")]
    if not all(uids):
        return _NOT_MATCHING
    study, series, instance = uids
    try:
        first = queue.spool.add(study, series, instance, event.encoded_dataset())
    except (ResourceError, OSError) as error:
        queue.report(f"busy: {error if isinstance(error, ResourceError) else type(error).__name__}")
        transfers.refused(event.assoc, study, instance)
        return _OUT_OF_RESOURCES
    transfers.stored(event.assoc, study, instance)
    if first:
        queue.log_request(study, _caller(event))
    return _SUCCESS


def _log_refusal(event: Event, queue: StudyQueue) -> None:
    reason = event.assoc.acceptor.primitive.reason_str if event.assoc.acceptor.primitive else "not allowed"
    queue.report(f"association refused: {_caller(event)}: {reason}")


def _caller(event: Event) -> str:
    requestor = event.assoc.requestor
    return printable(f"{str(requestor.ae_title).strip()} at {requestor.address}")
