"""``brainslice pacs``: predict the studies of an archive, fetched over DICOMweb or received by C-STORE."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.cli.console import RESEARCH_ONLY, print_line, print_note
from brainslice.cli.options import BundleFolder, Root, Threshold, open_predictor
from brainslice.errors import DownloadError, UsageError
from brainslice.lazy import require_extra

if TYPE_CHECKING:
    from brainslice.pacs import Deliver, DicomWebArchive, EventLog, ListenerSettings, TlsFiles

_GIBIBYTE = 1 << 30

Credentials: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--credentials-file",
        metavar="FILE",
        help="A file with user:password or a bearer token; or set BRAINSLICE_PACS_CREDENTIALS.",
    ),
]
CaFile: TypeAlias = Annotated[
    Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to trust instead of the system's.")
]
Description: TypeAlias = Annotated[
    str, typer.Option("--series-description", metavar="TEXT", help="Only series whose description contains this text.")
]
ReportRejected: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--report-rejected", help="Answer studies unlike the training scans with a referral instead of marking them."
    ),
]
AuditFile: TypeAlias = Annotated[
    Path | None, typer.Option("--audit-log", metavar="FILE", help="Add a JSON line for who asked for what and when.")
]
Studies: TypeAlias = Annotated[list[str] | None, typer.Option("--study", metavar="UID", help="A Study Instance UID.")]
Dates: TypeAlias = Annotated[
    str, typer.Option("--date", metavar="RANGE", help="Study dates: 20250301, 20250301-20250307, or 20250301-.")
]
Store: TypeAlias = Annotated[
    bool, typer.Option("--store", help="Store the answers in the archive; without it nothing is written there.")
]
State: TypeAlias = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="The folder of the journal that lets a later run resume.")
]

SendTo: TypeAlias = Annotated[
    str,
    typer.Option("--send-to", metavar="PEER", help="Destination of answers: TITLE@HOST:PORT or a URL."),
]
AllowAe: TypeAlias = Annotated[
    list[str], typer.Option("--allow-ae", metavar="TITLE", help="The AE title of an allowed sender; repeatable.")
]
SpoolFolder: TypeAlias = Annotated[Path, typer.Option("--spool", metavar="DIR", help="The folder of waiting studies.")]
Port: TypeAlias = Annotated[int, typer.Option("--port", metavar="PORT", help="The port; 0 takes a free one.")]
SpoolGb: TypeAlias = Annotated[
    float, typer.Option("--spool-gb", metavar="GIB", min=0.001, help="Maximum size of waiting studies, in GiB.")
]
QuietSeconds: TypeAlias = Annotated[
    float,
    typer.Option(
        "--quiet-seconds", metavar="SECONDS", min=0.0, help="A study is complete after so long without an image."
    ),
]
TlsCertificate: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--tls-certificate", metavar="FILE", help="Use TLS for C-STORE both ways, with this certificate (PEM)."
    ),
]
TlsKey: TypeAlias = Annotated[
    Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, if it is in a file of its own.")
]


def predict(
    url: Annotated[str, typer.Argument(metavar="URL", help="The DICOMweb address, such as https://pacs/dicom-web.")],
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    study: Studies = None,
    date: Dates = "",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Maximum number of studies; 0 for all.")
    ] = 0,
    description: Description = "",
    report_rejected: ReportRejected = False,
    store: Store = False,
    state: State = Path("pacs"),
    credentials: Credentials = None,
    ca_file: CaFile = None,
    audit_log: AuditFile = None,
) -> None:
    """Predict the MR studies of an archive over DICOMweb, and store the answers in the same studies.

    Without --store nothing is stored. A study with an answer of this model is left as it is.
    """
    archive = _archive(url, credentials, ca_file)
    from brainslice.lock import exclusive_lock
    from brainslice.pacs import FAILED, RetrievalOptions, StudyRules, answer_archive

    options = RetrievalOptions(
        filters={"StudyDate": date} if date else {},
        studies=tuple(study or ()),
        rules=StudyRules(description, report_rejected),
        limit=limit,
        store=store,
        state=state,
        audit=_audit(audit_log),
    )
    with exclusive_lock(state / ".lock", "answering studies"):
        counts = answer_archive(archive, open_predictor(root, bundle, threshold), options, print_line)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no MR studies found"
    print_note(f"{summary}; {RESEARCH_ONLY}")
    if counts[FAILED]:
        msg = f"{counts[FAILED]} studies failed; run the same command again to resume"
        raise DownloadError(msg)


def listen(
    send_to: SendTo,
    allow_ae: AllowAe,
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Port = 11112,
    ae_title: Annotated[str, typer.Option("--ae-title", help="The AE title of the listener.")] = "BRAINSLICE",
    spool: SpoolFolder = Path("pacs"),
    spool_gb: SpoolGb = 20.0,
    quiet_seconds: QuietSeconds = 30.0,
    description: Description = "",
    report_rejected: ReportRejected = False,
    credentials: Credentials = None,
    ca_file: CaFile = None,
    audit_log: AuditFile = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> None:
    """Receive MR studies by C-STORE, predict them, and send the answers back.

    Studies are kept on disk until they are answered, even if the process is killed. Ends on SIGTERM. With TLS and
    --ca-file, senders must have a certificate of these authorities.
    """
    require_extra("pacs", "brainslice pacs", "pynetdicom", "dicomweb_client", "highdicom")
    from brainslice.lock import exclusive_lock
    from brainslice.pacs import ListenerSettings, Spool, StudyQueue, StudyRules
    from brainslice.pacs import listen as run_listener

    settings = ListenerSettings(host, port, ae_title, tuple(allow_ae), tls=_tls(tls_certificate, tls_key, ca_file))
    deliver = _deliver(send_to, settings, credentials, ca_file)
    with exclusive_lock(spool / ".lock", "listening"):
        queue = StudyQueue(
            spool=Spool(spool, round(spool_gb * _GIBIBYTE)),
            predictor=open_predictor(root, bundle, threshold),
            deliver=deliver,
            report=print_note,
            quiet_seconds=quiet_seconds,
            rules=StudyRules(description, report_rejected),
            audit=_audit(audit_log),
        )
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        run_listener(queue, settings, stop)


def _archive(url: str, credentials: Path | None, ca_file: Path | None) -> DicomWebArchive:
    require_extra("pacs", "brainslice pacs", "pynetdicom", "dicomweb_client", "highdicom")
    from brainslice.pacs import DicomWebArchive, read_credentials

    return DicomWebArchive(url, read_credentials(credentials), ca_file)


def _deliver(send_to: str, listener: ListenerSettings, credentials: Path | None, ca_file: Path | None) -> Deliver:
    if "://" in send_to:
        return _archive(send_to, credentials, ca_file).store
    from brainslice.pacs import Peer, send_by_c_store

    return send_by_c_store(listener.title, Peer.parse(send_to), print_note, listener.tls)


def _tls(certificate: Path | None, key: Path | None, authority: Path | None) -> TlsFiles | None:
    from brainslice.pacs import TlsFiles

    if certificate is None and key is not None:
        msg = "--tls-key belongs to a certificate; give --tls-certificate too"
        raise UsageError(msg)
    return None if certificate is None else TlsFiles(certificate, key, authority)


def _audit(file: Path | None) -> EventLog | None:
    from brainslice.pacs import EventLog

    return None if file is None else EventLog(file)
