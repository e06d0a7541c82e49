"""Commands that train: ``train``, ``crossval``, ``ensemble``, ``adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice import api
from brainslice.cli.console import (
    in_brackets,
    print_bundle,
    print_line,
    print_note,
    print_report,
    print_table,
    progress_bars,
)
from brainslice.cli.data import exclude
from brainslice.cli.options import (
    AcceptLeaks,
    ConfigFile,
    Engine,
    ExcludeOverlap,
    Overrides,
    ProtocolName,
    RecipeName,
    Root,
    Seed,
    SiteFolder,
    Weights,
    Workers,
    settings,
)
from brainslice.paths import ProjectPaths, writes_project

if TYPE_CHECKING:
    from brainslice.api import EnsembleBundle
    from brainslice.config import Config
    from brainslice.evaluation import EnsembleGain, ScoredTestSet
    from brainslice.metrics import Evaluation
    from brainslice.training import CrossValidation


@writes_project("training")
def train(
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
    accept_leaks: AcceptLeaks = False,
    exclude_overlap_with: ExcludeOverlap = None,
) -> None:
    """Train, calibrate and export a network.

    The bundle before it is kept as bundle.previous. An interrupted training resumes when it is called again.
    """
    chosen = settings(root, config, overrides, protocol, recipe, weights, seed)
    paths = ProjectPaths.of(root, chosen)
    if exclude_overlap_with is not None:
        exclude(root, chosen, exclude_overlap_with)
    train_one(paths, chosen, accept_leaks)


def train_one(paths: ProjectPaths, config: Config, accept_leaks: bool) -> None:
    """Train under one protocol and print the result."""
    with progress_bars() as progress:
        trained = api.train(paths.root, config=config, accept_leaks=accept_leaks, progress=progress)
    print_bundle(trained.bundle, trained.notes, "selected the weights and the temperature")


@writes_project("cross-validating")
def crossval(
    folds: Annotated[int | None, typer.Option("--folds", help="The number of folds; data.folds by default.")] = None,
    workers: Workers = 0,
    engine: Engine = "local",
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Cross-validate by group.

    Trains once for each fold and tests each scan once. An interrupted run resumes with its fold.
    """
    from brainslice.dataset import Manifest, fold_count

    given = [] if folds is None else [f"data.folds={folds}"]
    chosen = settings(root, config, [*(overrides or ()), *given], "clean", recipe, weights, seed)
    prepared = fold_count(Manifest.read(ProjectPaths.of(root, chosen).data))
    if prepared != chosen.data.folds:
        print_note(f"the set was prepared with {prepared} folds; its groups are split again into {chosen.data.folds}")
    with progress_bars() as progress:
        result = api.cross_validate(root, config=chosen, workers=workers, engine=engine, progress=progress)
    _show_folds(result)
    print_note(f"saved in {result.path}; on one page: {result.path.parents[1] / 'report.html'}")


def _show_folds(result: CrossValidation) -> None:
    from brainslice.training import HEADLINES

    header = ["", *[f"fold {number}" for number in range(len(result.folds))], "mean ± sd", "out of fold [95 %]"]
    rows = []
    for name in HEADLINES:
        spread = result.spread(name)
        mean = "undefined" if spread is None else f"{spread[0]:.3f} ± {spread[1]:.3f}"
        each = [fold.score(name).value for fold in result.folds]
        rows.append([name, *[_number(value) for value in each], mean, _bounded(result.pooled, name)])
    pooled = result.pooled
    data = f"{pooled.settings.dataset}{in_brackets(pooled.settings.warnings)}"
    print_table(f"{len(result.folds)}-fold cross-validation by group, {data}", header, rows)
    print_line(
        f"n = {pooled.n} scans of {pooled.groups} groups; each scored once, by the model not trained on its group"
    )
    for line in (line for test in pooled.source_controlled for line in test.summary_lines()):
        print_line(line)
    if pooled.baseline is not None:
        accuracy = next(score.value for score in pooled.baseline.scores if score.name == "accuracy")
        p_value = pooled.baseline.test.p_value
        print_line(f"baseline (grey levels only): accuracy {_number(accuracy)}; McNemar p = {p_value:.2g}")
    for line in pooled.abstention.summary_lines() if pooled.abstention else ():
        print_line(line)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _bounded(evaluation: Evaluation, name: str) -> str:
    score = evaluation.score(name)
    bounds = "" if score.interval is None else f" [{score.interval.low:.3f}, {score.interval.high:.3f}]"
    return _number(score.value) + bounds


def ensemble(
    bundles: Annotated[
        list[Path] | None, typer.Argument(help="Bundles to join; by default one is trained for each training fold.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="The ensemble's folder; models/ensemble by default.")
    ] = None,
    calibrate_on: Annotated[
        Path | None,
        typer.Option("--calibrate-on", metavar="FOLDER", help="Class folders to fit the temperature on."),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Score it on the scans that no member was trained on.")] = False,
    workers: Workers = 0,
    engine: Engine = "local",
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Combine networks into an ensemble bundle.

    It predicts the mean of their logits and reports their disagreement. An interrupted run resumes.
    """
    chosen = settings(root, config, overrides, "clean" if not bundles else None, recipe, weights, seed)
    with progress_bars() as progress:
        joined = api.ensemble(
            root,
            bundles=bundles or (),
            output=output,
            calibrate_on=calibrate_on,
            test=test,
            config=chosen,
            workers=workers,
            engine=engine,
            progress=progress,
        )
    _show_ensemble(joined)
    if joined.test is not None:
        _show_gains(joined.test, joined.gains)
        reports = ProjectPaths.of(root, chosen).reports / "ensemble"
        print_line(f"reports: {reports}; all on one page: {reports / 'report.html'}")


def _show_ensemble(joined: EnsembleBundle) -> None:
    info = joined.bundle.info
    members = info.ensemble.members_per_scan if info.ensemble else 0
    print_bundle(joined.bundle, joined.notes, f"selected the temperature, each scored by at least {members} members")
    unused = len(joined.assignment.split.test)
    print_line(f"{info.backbone}; {unused} scans are left that no member was trained or chosen on")


def _show_gains(scored: ScoredTestSet, gains: tuple[EnsembleGain, ...]) -> None:
    for line in scored.evaluation.summary_lines():
        print_line(line)
    count = max((len(gain.members) for gain in gains), default=0)
    header = ["", *[f"member {number}" for number in range(count)], "ensemble", "gain over their mean [95 %]"]
    rows = [
        [gain.name, *[f"{value:.4f}" for value in gain.members], f"{gain.ensemble:.4f}", _gain(gain)] for gain in gains
    ]
    print_table("what averaging adds, on the same test scans", header, rows)


def _gain(gain: EnsembleGain) -> str:
    bounds = "" if gain.interval is None else f" [{gain.interval.low:+.4f}, {gain.interval.high:+.4f}]"
    return f"{gain.difference:+.4f}{bounds}"


def adapt(
    data: SiteFolder = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle to start from; the project's by default.")
    ] = None,
    accept_forgetting: Annotated[
        bool, typer.Option("--accept-forgetting", help="Accept more forgetting than adapt.max_forgetting.")
    ] = False,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Seed = None,
) -> None:
    """Fine-tune a bundle for another site.

    Cheaper methods are compared in the same table, all scored out of fold. An interrupted run resumes.
    """
    chosen = settings(root, config, overrides, seed=seed)
    adapt_one(ProjectPaths.of(root, chosen), chosen, data or root / chosen.data.external, bundle, accept_forgetting)


def adapt_one(paths: ProjectPaths, config: Config, data: Path, bundle: Path | None, accept_forgetting: bool) -> None:
    """Adapt to one folder and print the comparison of methods."""
    from brainslice.report import adaptation_tables

    with progress_bars() as progress:
        adapted = api.adapt(
            data, paths.root, bundle=bundle, config=config, accept_forgetting=accept_forgetting, progress=progress
        )
    for shown in adaptation_tables(adapted):
        print_report(shown)
    print_line(
        f"macro F1 on the source's validation scans: {adapted.outcome.before:.3f} before, {adapted.outcome.after:.3f} "
        f"after; it may fall by {config.adapt.max_forgetting:g}"
    )
    print_line(f"bundle: {adapted.bundle.folder}; network: {adapted.network}; reports: {paths.reports / 'external'}")
    print_note(
        "the adapted bundle was trained on all of the site's scans: only the out-of-fold figures above apply to it"
    )
