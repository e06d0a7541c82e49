"""Commands that score bundles and show the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice import api
from brainslice.cli.console import print_line, print_note, print_report, progress_bars
from brainslice.cli.options import (
    BundleFolder,
    ConfigFile,
    Overrides,
    ProtocolName,
    Root,
    Seed,
    SiteFolder,
    Slices,
    settings,
)
from brainslice.errors import DatasetError
from brainslice.paths import ProjectPaths

if TYPE_CHECKING:
    from brainslice.config import Config


def evaluate(
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    gradcam: Annotated[int, typer.Option("--gradcam", metavar="N", min=0, help="Number of heat map overlays.")] = 8,
    slices: Slices = None,
) -> None:
    """Score the bundle on its test scans.

    First comes the source-controlled test: mirror twins where outlines are known, and the folders given by --slices.
    Every score has its interval, beside the baseline on grey levels alone; every access to the test scans is counted.
    """
    chosen = settings(root, config, overrides, protocol)
    evaluate_one(ProjectPaths.of(root, chosen), chosen, gradcam, slices or [])


def evaluate_one(paths: ProjectPaths, config: Config, overlays: int, slices: Sequence[Path] = ()) -> None:
    """Evaluate under one protocol and print the scores."""
    with progress_bars() as progress:
        result = api.evaluate(paths.root, config=config, overlays=overlays, slices=slices, progress=progress)
    evaluation = result.test.evaluation
    for line in (*evaluation.summary_lines(), *(point.summary for point in result.errors.points)):
        print_line(line)
    mistakes = len(result.errors.mistakes)
    print_line(f"{mistakes} of {evaluation.n} test scans misclassified; the most confident first in errors.png")
    print_line(f"reports: {result.reports}; all on one page: {result.page}")


def validate(
    data: SiteFolder = None,
    bundle: Annotated[
        list[Path] | None, typer.Option("--bundle", help="A bundle, repeatable; the project's and adapted by default.")
    ] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    slices: Slices = None,
) -> None:
    """Score bundles on another site's scans.

    Training scans of a bundle and duplicates are left out and counted; bundles are compared in one table.
    """
    chosen = settings(root, config, overrides)
    validate_one(ProjectPaths.of(root, chosen), chosen, data or root / chosen.data.external, bundle or [], slices or [])


def validate_one(
    paths: ProjectPaths, config: Config, data: Path, bundles: Sequence[Path] = (), slices: Sequence[Path] = ()
) -> None:
    """Score bundles on one folder and print the tables."""
    from brainslice.report import external_tables

    with progress_bars() as progress:
        result = api.validate(data, paths.root, bundles=bundles, config=config, slices=slices, progress=progress)
    for shown in external_tables(result.validation):
        print_report(shown)
    for source, reason in result.validation.site.unreadable:
        print_note(f"left out: {source}: {reason}")
    written, page = result.files
    print_line(f"reports: {written}, {page}; all on one page: {result.page}")


def robustness(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Class folders, or yes and no, of another site; the test scans by default."),
    ] = None,
    bundle: BundleFolder = None,
    sample: Annotated[int, typer.Option("--sample", min=0, help="How many scans to draw; 0 for all.")] = 200,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Seed = None,
) -> None:
    """Score a bundle on scans made worse in ten ways at five severities.

    Bias field, noise, motion, ringing, blur, resolution, contrast, JPEG, rotation and crop. Every access to the test
    scans is counted, and nothing is chosen by the results. An interrupted sweep resumes.
    """
    from brainslice.report import robustness_table

    chosen = settings(root, config, overrides, seed=seed)
    with progress_bars() as progress:
        result = api.measure_robustness(root, data=data, bundle=bundle, sample=sample, config=chosen, progress=progress)
    print_report(robustness_table(result))
    print_line(f"reports: {ProjectPaths.of(root, chosen).reports}; all on one page: report.html")


def lesion_test(
    folders: Annotated[list[Path], typer.Argument(help="Folders with slices.csv: path, patient, tumour, mask.")],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle's folder; the one that ships by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the results to this JSON file too.")] = None,
) -> None:
    """Score slices with and without tumour of the same patients, so that the source cannot tell them apart."""
    with progress_bars() as progress:
        found = api.lesion_test(folders, bundle=bundle, output=output, progress=progress)
    for line in (line for each in found for line in each.summary_lines()):
        print_line(line)
    print_line("for research only; tumour-free slices of patients are not healthy people")


def summary(root: Root = Path(), config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Show the results of both protocols side by side."""
    from brainslice.report import protocol_table, read_json, site_table

    chosen = settings(root, config, overrides)
    clean, official = (
        read_json(ProjectPaths.of(root, chosen, name).reports / "report.json") for name in ("clean", "official")
    )
    if clean is None and official is None:
        msg = f"{root / 'reports'}: no report.json; run brainslice train and brainslice evaluate first"
        raise DatasetError(msg)
    print_report(protocol_table(clean, official))
    for path in sorted((ProjectPaths.of(root, chosen, "clean").reports / "external").glob("*.json")):
        found = read_json(path)
        # The file of an adaptation has no entries: its table was printed when it ran.
        if found is not None and "entries" in found:
            print_report(site_table(found))


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The project's folder, or its folder reports.")] = Path(),
    language: Annotated[str, typer.Option("--language", help="en or es.")] = "en",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="HTML", help="The file; reports/report.html by default.")
    ] = None,
) -> None:
    """Write all results of a project on one HTML page, to open in a browser or print.

    The page holds its figures and pictures and makes no request.
    """
    print_line(f"report: {api.write_report(run, language=language, output=output)}")
