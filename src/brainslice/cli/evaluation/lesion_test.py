"""``brainslice lesion-test``: the source-controlled test on folders of slices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line, progress_bars


def lesion_test(
    folders: Annotated[list[Path], typer.Argument(help="Folders with slices.csv: path, patient, tumour, mask.")],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle's folder; the one that ships by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the results to this JSON file too.")] = None,
) -> None:
    """Score slices with and without tumour of the same patients, so that the source cannot tell them apart."""
    from brainslice.evaluation.source_controlled import read_slices, score_slices
    from brainslice.files import write_json
    from brainslice.inference.predictor import Predictor

    for folder in folders:
        read_slices(folder)
    predictor = Predictor.open(bundle)
    with progress_bars() as progress:
        found = [score_slices(folder, predictor, progress) for folder in folders]
    for line in (line for each in found for line in each.summary_lines()):
        print_line(line)
    print_line("for research only; tumour-free slices of patients are not healthy people")
    if output is not None:
        write_json(output, {"bundle": predictor.bundle.info.digest, "source_controlled": [e.to_json() for e in found]})
