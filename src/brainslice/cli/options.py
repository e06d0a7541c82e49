"""Options that several verbs share, each said once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from brainslice.api.settings import read_settings
from brainslice.config import Config

Root: TypeAlias = Annotated[
    Path, typer.Option("--project-root", help="The project's folder: data, models and reports lie in it.")
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="A YAML file of settings; without it, configs/config.yaml if there is one."),
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Lay one setting over the file: --set train.lr=1e-4"),
]
ProtocolName: TypeAlias = Annotated[
    str | None,
    typer.Option("--protocol", help="clean (split by group) or official (the folders' own split)."),
]
AcceptLeaks: TypeAlias = Annotated[
    bool,
    typer.Option("--accept-leaks", help="Go on although groups cross the split; every output is marked leaky."),
]
Weights: TypeAlias = Annotated[
    str | None,
    typer.Option("--weights", help="First weights: imagenet, shipped, none, or a file, found from the current folder."),
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
RecipeName: TypeAlias = Annotated[
    str | None,
    typer.Option("--recipe", help="quick (a laptop, from cached activations) or full (the whole network)."),
]
Seed: TypeAlias = Annotated[int | None, typer.Option("--seed", help="The one seed of the run.")]


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
