"""``brainslice predict-archive``: predict an archive in shards, with several processes or Ray actors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import RESEARCH_ONLY, print_line, print_note, progress_bars
from brainslice.cli.options import (
    BundleFolder,
    Engine,
    Listing,
    Overwrite,
    Pseudonymise,
    RequiredSignature,
    Root,
    Scans,
    Threshold,
    case_names,
    open_predictor,
    paths_of,
)
from brainslice.errors import UnreadableScanError


def predict_archive(
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="The tables OUTPUT-I-of-N: .jsonl, .csv or .parquet.")
    ],
    scans: Scans = None,
    listed: Listing = None,
    shards: Annotated[int, typer.Option("--shards", min=1, help="The number of tables; keep it from run to run.")] = 64,
    workers: Annotated[int, typer.Option("--workers", min=1, help="The number of processes or actors.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, help="The number of threads of each worker.")] = 1,
    engine: Engine = "local",
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    overwrite: Overwrite = False,
    require_signature: RequiredSignature = None,
    pseudonymise: Pseudonymise = None,
) -> None:
    """Classify an archive with several processes.

    Each shard has a table of its own, as with predict --part. An interrupted run resumes; a file that cannot be read
    is a row. Scans and tables may be URIs of a store, such as s3://bucket/folder.
    """
    from brainslice.remote import locate
    from brainslice.tables import ShardOptions, predict_shards

    paths = paths_of(scans, listed)
    options = ShardOptions(shards, workers, threads, engine, case_names(pseudonymise, scans))
    predictor = open_predictor(root, bundle, threshold, threads=1, key=require_signature)
    with progress_bars() as progress:
        found = predict_shards(predictor, paths, locate(output), options, progress, overwrite=overwrite)
    kept = f", {found.kept:,} of them there before" if found.kept else ""
    print_line(f"{output}: {found.rows:,} rows in {shards:,} tables{kept}; {found.refused:,} refused")
    print_note(RESEARCH_ONLY)
    if found.refused:
        msg = f"{found.refused} of {found.rows} files could not be read; their rows state why"
        raise UnreadableScanError(msg)
