"""``brainslice serve``: predictions over HTTP, and a web page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from brainslice.cli.console import print_note
from brainslice.cli.options import BundleFolder, RequiredSignature, Root, Threshold, open_predictor
from brainslice.errors import UsageError
from brainslice.lazy import require_extra

TOKEN = "BRAINSLICE_TOKEN"  # noqa: S105 - the variable's name
"""The environment variable of the token."""

_MEBIBYTE = 1 << 20
_MAX_TOKEN_FILE_BYTES = 4096

Host: TypeAlias = Annotated[
    str, typer.Option("--host", help="The address to listen on; other than loopback needs a token.")
]
Port: TypeAlias = Annotated[int, typer.Option("--port", metavar="PORT", help="The port; 0 takes a free one.")]
TokenFile: TypeAlias = Annotated[
    Path | None, typer.Option("--token-file", help=f"A file with the bearer token of requests; or set {TOKEN}.")
]
AllowHost: TypeAlias = Annotated[
    list[str] | None, typer.Option("--allow-host", metavar="NAME", help="Another host name of the service.")
]
AllowOrigin: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", metavar="ORIGIN", help="Another site whose pages may use the service (CORS)."),
]
MaxFile: TypeAlias = Annotated[int, typer.Option("--max-file-mb", metavar="MIB", min=1, help="Maximum size of a file.")]
MaxUpload: TypeAlias = Annotated[
    int, typer.Option("--max-upload-mb", metavar="MIB", min=1, help="Maximum size of a request.")
]
MaxRequests: TypeAlias = Annotated[
    int, typer.Option("--max-requests", metavar="N", min=1, help="Maximum number of requests running or waiting.")
]
AnswerSeconds: TypeAlias = Annotated[
    float, typer.Option("--answer-seconds", metavar="SECONDS", min=0.1, help="Time limit of a request.")
]
Threads: TypeAlias = Annotated[
    int, typer.Option("--threads", metavar="N", min=0, help="Threads of the network; 0 for all cores.")
]


def serve(
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token_file: TokenFile = None,
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
    max_file_mb: MaxFile = 128,
    max_upload_mb: MaxUpload = 256,
    max_requests: MaxRequests = 32,
    answer_seconds: AnswerSeconds = 60.0,
    threads: Threads = 0,
    require_signature: RequiredSignature = None,
) -> None:
    """Predict over HTTP, with a web page at /.

    Scans are kept in memory during a request only; nothing of them is stored or logged. Stops cleanly on SIGTERM.
    """
    require_extra("serve", "brainslice serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    from brainslice.service import Batching, Limits, Settings, run_server

    limits = Limits(
        file_bytes=max_file_mb * _MEBIBYTE,
        request_bytes=max_upload_mb * _MEBIBYTE,
        memory_bytes=2 * max_upload_mb * _MEBIBYTE,
        requests=max_requests,
        answer_seconds=answer_seconds,
    )
    hosts, origins = (tuple(name.casefold() for name in names or ()) for names in (allow_host, allow_origin))
    settings = Settings(
        host=host,
        port=port,
        token=_token(token_file),
        hosts=hosts,
        origins=origins,
        limits=limits,
        batching=Batching(batches=threads) if threads else Batching(),
    )
    predictor = open_predictor(root, bundle, threshold, threads, require_signature)
    info = predictor.bundle.info
    print_note(f"{info.name} ({info.digest[:12]}), for research only; Ctrl+C ends")
    run_server(predictor, settings, lambda address: print_note(f"listening on {address}"))


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        with file.open(encoding="utf-8") as stream:
            token = stream.read(_MAX_TOKEN_FILE_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        msg = f"{file}: the token cannot be read ({reason}); write it into that file on one line"
        raise UsageError(msg) from error
    if not token:
        msg = f"{file}: must hold a token, got an empty file; write it into that file on one line"
        raise UsageError(msg)
    return token
