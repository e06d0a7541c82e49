"""``brainslice demo``: the whole pipeline on drawn heads, in minutes, without any account or data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_note, progress_bars
from brainslice.cli.training.run import run


def demo(
    root: Annotated[Path, typer.Option("--project-root", help="Where the demo's data, models and reports go.")] = Path(
        "demo"
    ),
    patients: Annotated[int, typer.Option("--patients", min=10, help="Drawn patients a class.")] = 24,
    seed: Annotated[int, typer.Option("--seed", help="The one seed of the demo.")] = 42,
) -> None:
    """Do everything on drawn heads, in minutes.

    Heads with and without lesions are drawn and taken through the whole pipeline; every output is marked phantom.
    """
    from brainslice.phantom import FEWEST_HEADS, write_external_site, write_phantoms

    drawn, other = root / "phantoms", root / "phantoms_elsewhere"
    with progress_bars() as progress:
        write_phantoms(drawn, patients_per_class=patients, seed=seed, progress=progress)
        write_external_site(other, heads_per_kind=max(patients, FEWEST_HEADS), seed=seed, progress=progress)
    settings = ["data.image_size=128", "train.quick.views=2", "train.quick.epochs=3", "model.weights=shipped"]
    settings += ["model.head=linear", "train.lesion.weight=0"]
    settings += ["adapt.folds=3", "adapt.steps=20", "adapt.checks=2", "adapt.views=1", "adapt.replay=120"]
    run(source=drawn, external=other, root=root, overrides=[*settings, "adapt.learning_curve=false"], seed=seed)
    print_note(f"this was a demonstration on phantoms, drawn pictures and no scans; all of it lies in {root}")
