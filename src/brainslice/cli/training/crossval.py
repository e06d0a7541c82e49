"""``brainslice crossval``: every fold tests once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice import api
from brainslice.cli.console import print_line, print_note, progress_bars, table
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings

if TYPE_CHECKING:
    from brainslice.metrics.evaluation import Evaluation
    from brainslice.training.cross_validation import CrossValidation


def crossval(
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", help="How many, instead of data.folds; groups are dealt anew where the set has others."
        ),
    ] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Cross-validate by group.

    Trains once a fold and tests each scan once; interrupted, it goes on with the fold it was at.
    """
    from brainslice.dataset.manifest import Manifest
    from brainslice.dataset.splits.split_assignment import fold_count
    from brainslice.paths import ProjectPaths

    given = [] if folds is None else [f"data.folds={folds}"]
    chosen = settings(root, config, [*(overrides or ()), *given], "clean", recipe, weights, seed)
    prepared = fold_count(Manifest.read(ProjectPaths.of(root, chosen).data))
    if prepared != chosen.data.folds:
        print_note(f"the set was prepared with {prepared} folds; its groups are dealt anew into {chosen.data.folds}")
    with progress_bars() as progress:
        result = api.cross_validate(root, config=chosen, progress=progress)
    _show(result)
    print_note(f"saved in {result.path}")


def _show(result: CrossValidation) -> None:
    from brainslice.training.cross_validation import HEADLINES

    header = ["", *[f"fold {number}" for number in range(len(result.folds))], "mean ± sd", "out of fold [95 %]"]
    rows = []
    for name in HEADLINES:
        mean, spread = result.spread(name)
        each = [fold.score(name).value for fold in result.folds]
        rows.append(
            [name, *[_number(value) for value in each], f"{mean:.3f} ± {spread:.3f}", _bounded(result.pooled, name)]
        )
    pooled = result.pooled
    marks = f" [{', '.join(pooled.settings.warnings)}]" if pooled.settings.warnings else ""
    table(f"{len(result.folds)}-fold cross-validation by group, {pooled.settings.dataset}{marks}", header, rows)
    print_line(
        f"n = {pooled.n} scans of {pooled.groups} groups; each judged once, by the model that never saw its group"
    )
    for line in (line for test in pooled.source_controlled for line in test.summary_lines()):
        print_line(line)
    if pooled.baseline is not None:
        floor = pooled.baseline
        accuracy = next(score.value for score in floor.scores if score.name == "accuracy")
        print_line(f"baseline (grey levels only): accuracy {_number(accuracy)}; McNemar p = {floor.test.p_value:.2g}")
    for line in pooled.abstention.summary_lines() if pooled.abstention else ():
        print_line(line)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _bounded(evaluation: Evaluation, name: str) -> str:
    score = evaluation.score(name)
    bounds = "" if score.interval is None else f" [{score.interval.low:.3f}, {score.interval.high:.3f}]"
    return _number(score.value) + bounds
