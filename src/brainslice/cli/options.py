"""Options that several commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.api import read_settings
from brainslice.cli.console import print_note
from brainslice.errors import UsageError

if TYPE_CHECKING:
    from brainslice.config import Config
    from brainslice.inference import Predictor
    from brainslice.remote import ScanPath
    from brainslice.tables import CaseNames

Root: TypeAlias = Annotated[Path, typer.Option("--project-root", help="The folder of data, models and reports.")]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="A YAML file; configs/config.yaml by default."),
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: train.lr=1e-4."),
]
ProtocolName: TypeAlias = Annotated[
    str | None, typer.Option("--protocol", help="clean (split by group) or official (the folders' own split).")
]
AcceptLeaks: TypeAlias = Annotated[
    bool, typer.Option("--accept-leaks", help="Train although groups cross the split; outputs are marked leaky.")
]
Weights: TypeAlias = Annotated[
    str | None, typer.Option("--weights", help="Initial weights: imagenet, shipped, none, or a file.")
]
SiteFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--data", help="Yes and no, or class folders, of another site; or data.external.")
]
ExcludeOverlap: TypeAlias = Annotated[
    Path | None,
    typer.Option("--exclude-overlap-with", metavar="FOLDER", help="Exclude groups that contain another site's scans."),
]
Slices: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--slices", help="Folder with slices.csv (path, patient, tumour, mask); repeatable."),
]
BundleFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--bundle", help="The bundle; models/bundle or the shipped one by default.")
]
Threshold: TypeAlias = Annotated[
    float | None, typer.Option("--threshold", help="P(tumour) from which a scan is predicted as a tumour.")
]
RequiredSignature: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--require-signature", metavar="PEM", help="Use the bundle only if this Ed25519 public key's owner signed it."
    ),
]
Scans: TypeAlias = Annotated[
    list[str] | None, typer.Argument(help="Image files, or folders of them, to any depth; also URIs, as s3://bucket.")
]
Listing: TypeAlias = Annotated[
    str | None, typer.Option("--list", metavar="FILE", help="A text file of paths, a line each; - for standard input.")
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace the table of --output.")]
Pseudonymise: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--pseudonymise",
        metavar="KEYFILE",
        help="Name scans by a digest with this secret key, not by path; - reads BRAINSLICE_PSEUDONYM_KEY.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object a scan, one a line.")]
RecipeName: TypeAlias = Annotated[
    str | None, typer.Option("--recipe", help="quick (from cached activations) or full (the whole network).")
]
Workers: TypeAlias = Annotated[
    int,
    typer.Option("--workers", min=0, help="Train this many at a time, each in a process of its own; 0: in this one."),
]
Engine: TypeAlias = Annotated[
    str, typer.Option("--engine", help="Where workers run: local (this machine) or ray (a Ray cluster).")
]
Seed: TypeAlias = Annotated[int | None, typer.Option("--seed", help="The seed of the run.")]


def settings(
    root: Path,
    file: Path | None,
    overrides: list[str] | None,
    protocol: str | None = None,
    recipe: str | None = None,
    weights: str | None = None,
    seed: int | None = None,
) -> Config:
    """Read the configuration of a command; options win over ``--set``, and both over the file."""
    given = {"data.protocol": protocol, "train.recipe": recipe, "model.weights": weights, "seed": seed}
    # Quoted as JSON, a file's name stays text whatever YAML would make of it.
    words = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items() if value is not None]
    return read_settings(root, file, (*(overrides or ()), *words))


def paths_of(scans: list[str] | None, listed: str | None) -> Iterable[ScanPath]:
    """Return the given scans, or those of the list.

    Raises:
        UsageError: Neither is given, or both.
    """
    from brainslice.remote import locate
    from brainslice.tables import ListedScan, list_paths

    if bool(scans) == (listed is not None):
        msg = "a prediction needs scans, folders, or a --list of them, and not both; brainslice predict --help"
        raise UsageError(msg)
    if listed is None:
        return [locate(scan) for scan in scans or ()]
    # Standard input can be read once only, so the number of scans is unknown.
    return list_paths(sys.stdin) if listed == "-" else ListedScan(Path(listed))


def case_names(keyfile: Path | None, given: Iterable[str | Path] | None) -> CaseNames:
    """Return how rows name the files and folders given, or the scans of a list: by path, or by pseudonym."""
    from brainslice.remote import locate
    from brainslice.tables import CaseNames, read_pseudonym_key

    if keyfile is None:
        return CaseNames()
    return CaseNames(read_pseudonym_key(keyfile), tuple(locate(str(each)) for each in given or ()))


def open_predictor(
    root: Path, bundle: Path | None, threshold: float | None, threads: int = 0, key: Path | None = None
) -> Predictor:
    """Open the bundle of a command, signed by ``key`` if given; name the bundle that ships with the package."""
    from brainslice.inference import DEFAULT_BUNDLE, Predictor, open_bundle_or_default

    chosen = bundle or open_bundle_or_default(root)
    predictor = Predictor.open(chosen, threshold=threshold, threads=threads, require_signature=key)
    info = predictor.bundle.info
    if predictor.bundle.folder == DEFAULT_BUNDLE:
        print_note(f"model: the bundle that ships with brainslice: {info.name} ({info.digest[:12]})")
    return predictor
