"""Options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.api.settings import read_settings
from brainslice.cli.console import print_note
from brainslice.config import Config

if TYPE_CHECKING:
    from brainslice.inference.predictor import Predictor

Root: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--project-root", help="The project's folder with data, models and reports.", rich_help_panel="Project"
    ),
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A YAML file of settings; by default configs/config.yaml if there is one.",
        rich_help_panel="Project",
    ),
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a setting: --set train.lr=1e-4", rich_help_panel="Project"
    ),
]
ProtocolName: TypeAlias = Annotated[
    str | None,
    typer.Option("--protocol", help="clean (split by group) or official (the folders' own split)."),
]
AcceptLeaks: TypeAlias = Annotated[
    bool,
    typer.Option("--accept-leaks", help="Train although groups cross the split; every output is marked leaky."),
]
Weights: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--weights", help="Initial weights: imagenet, shipped, none, or a file, found from the current folder."
    ),
]
SiteFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data", help="The other site's folder, yes and no or class folders; data.external by default."),
]
ExcludeOverlap: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--exclude-overlap-with",
        metavar="FOLDER",
        help="Another site's folder: its pictures and all their relatives neither train nor validate.",
    ),
]
Slices: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--slices", help="A folder with slices.csv (path, patient, tumour, mask); may be given several times."
    ),
]
BundleFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--bundle", help="The bundle's folder; by default models/bundle of the project, or the shipped one."),
]
Threshold: TypeAlias = Annotated[
    float | None, typer.Option("--threshold", help="P(tumour) from which a scan is called a tumour.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object a scan, one a line.")]
RecipeName: TypeAlias = Annotated[
    str | None,
    typer.Option("--recipe", help="quick (a laptop, from cached activations) or full (the whole network)."),
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
    """Read the configuration of a command; options win over ``--set``, and both over the file.

    Raises:
        ConfigError: A key or a value is invalid.
    """
    given = {"data.protocol": protocol, "train.recipe": recipe, "model.weights": weights, "seed": seed}
    # Quoted as JSON, a file's name stays text whatever YAML would make of it.
    words = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items() if value is not None]
    return read_settings(root, file, (*(overrides or ()), *words))


def open_predictor(root: Path, bundle: Path | None, threshold: float | None, threads: int = 0) -> Predictor:
    """Open the bundle of a command, and name it where it is the one that ships with the package.

    Raises:
        BundleError: There is no bundle, or it was altered.
    """
    from brainslice.inference import default_bundle
    from brainslice.inference.predictor import Predictor

    chosen = bundle or default_bundle.open_bundle_or_default(root)
    predictor = Predictor.open(chosen, threshold=threshold, threads=threads)
    info = predictor.bundle.info
    if predictor.bundle.folder == default_bundle.DEFAULT_BUNDLE:
        print_note(f"model: the bundle that ships with brainslice: {info.name} ({info.digest[:12]})")
    return predictor
