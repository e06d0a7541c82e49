"""Functions that make bundles: train, cross-validate, join networks, calibrate, adapt."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.api.evaluation import write_report
from brainslice.api.settings import (
    TRAINING_LIBRARIES,
    AnyPath,
    Settings,
    open_project,
    read_settings,
)
from brainslice.arrays import Labels, Logits
from brainslice.lazy import require_extra
from brainslice.paths import ProjectPaths, writes_project
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.bundle import ModelBundle
    from brainslice.config import Config
    from brainslice.dataset import SplitAssignment
    from brainslice.decision import Temperature
    from brainslice.evaluation import EnsembleGain, ScoredTestSet
    from brainslice.training import AdaptationResult, CrossValidation, Sweep, TrainingResult


_OVERLAYS = 8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EnsembleBundle:
    """A bundle of several networks.

    Attributes:
        bundle: The bundle.
        assignment: The manifest, and the joint split of the members.
        notes: Remarks on the calibration.
        test: The scores on scans that no member was trained on, where they were computed.
        gains: Metrics of the ensemble beside those of its members, likewise.
    """

    bundle: ModelBundle
    assignment: SplitAssignment
    notes: tuple[str, ...]
    test: ScoredTestSet | None = None
    gains: tuple[EnsembleGain, ...] = ()

    def __repr__(self) -> str:
        """Show the folder of the bundle and the networks."""
        return f"<EnsembleBundle {self.bundle.folder}: {self.bundle.info.backbone}>"


@writes_project("training")
def train(
    root: AnyPath = ".", *, config: Settings = None, accept_leaks: bool = False, progress: Progress = silent
) -> TrainingResult:
    """Train a network on the prepared set, calibrate it and write the bundle ``models/bundle``.

    An existing bundle is kept as ``models/bundle.previous``. An interrupted training resumes.

    Args:
        root: The project's folder.
        config: The settings.
        accept_leaks: Train although related scans cross the split; the results are marked as leaky.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        DatasetError: There is no prepared set.
        LeakError: Groups cross the split.
    """
    require_extra("train", "training", *TRAINING_LIBRARIES)
    from brainslice.report import draw_history, write_training_run
    from brainslice.training import train as train_network

    started = time.monotonic()
    chosen, paths = open_project(root, config)
    trained = train_network(paths, chosen, accept_leaks=accept_leaks, progress=progress)
    info, origin = trained.bundle.info, trained.bundle.info.provenance
    of = (
        f"{origin.dataset}, {origin.protocol} protocol: {origin.train_images} scans of {origin.train_groups} groups "
        f"train, {origin.validation_images} of {origin.validation_groups} validate."
    )
    draw_history(trained.epochs, paths.reports, info.warnings, of)
    write_training_run(paths.reports, chosen, time.monotonic() - started)
    return trained


@writes_project("cross-validating")
def cross_validate(
    root: AnyPath = ".",
    *,
    config: Settings = None,
    folds: int | None = None,
    workers: int = 0,
    engine: str = "local",
    progress: Progress = silent,
) -> CrossValidation:
    """Train and test once for each fold, by group; an interrupted run resumes.

    Args:
        root: The project's folder.
        config: The settings.
        folds: How many folds; ``data.folds`` where None.
        workers: How many folds train at a time, each in a process of its own; 0 trains in this process.
        engine: Where these processes run: ``local``, or ``ray`` (tasks of a Ray cluster).
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        DatasetError: There is no prepared set, or it holds fewer groups than folds.
    """
    require_extra("train", "cross-validation", *TRAINING_LIBRARIES)
    from brainslice.training import cross_validate as run_folds

    chosen = read_settings(root, config)
    changed = {"protocol": "clean", "folds": chosen.data.folds if folds is None else folds}
    data = type(chosen.data).model_validate(chosen.data.model_dump() | changed)
    chosen = chosen.model_copy(update={"data": data})
    result = run_folds(Path(root), chosen, progress, workers=workers, engine=engine)
    write_report(root)
    return result


@writes_project("searching settings")
def sweep(
    space: Sequence[str] | Mapping[str, str] | AnyPath,
    root: AnyPath = ".",
    *,
    trials: int = 20,
    workers: int = 1,
    engine: str = "local",
    name: str = "sweep",
    config: Settings = None,
    progress: Progress = silent,
) -> Sweep:
    """Search for settings with Optuna, compared on validation scans only; an interrupted sweep resumes.

    Args:
        space: Settings and their values, such as ``train.quick.lr=log:1e-4..1e-2``, ``model.dropout=0..0.5`` and
            ``model.head=linear|pyramid``, as a list, a mapping, or a YAML file.
        root: The project's folder.
        trials: The number of trials, those of earlier runs included.
        workers: The number of trials at a time, each in a process of its own.
        engine: Where these processes run: ``local`` or ``ray``.
        name: The name of the folder ``reports/sweep/NAME``.
        config: All other settings.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries or Optuna are not installed.
        ConfigError: A setting to search is unknown, or its values are invalid.
        UsageError: A sweep of this name has other settings, values or scans.
        DatasetError: There is no prepared set.
    """
    require_extra("train", "a sweep", *TRAINING_LIBRARIES)
    require_extra("sweep", "a sweep", "optuna")
    from brainslice.training import SweepOptions, parse_space, read_space, run_sweep

    if isinstance(space, Mapping):
        space = [f"{key}={values}" for key, values in space.items()]
    elif isinstance(space, str | PathLike):
        space = read_space(Path(space))
    options = SweepOptions(name, trials, workers, engine)
    return run_sweep(Path(root), read_settings(root, config), parse_space(space), options, progress)


@writes_project("training an ensemble")
def ensemble(
    root: AnyPath = ".",
    *,
    bundles: Iterable[AnyPath] = (),
    output: AnyPath | None = None,
    calibrate_on: AnyPath | None = None,
    test: bool = False,
    config: Settings = None,
    workers: int = 0,
    engine: str = "local",
    progress: Progress = silent,
) -> EnsembleBundle:
    """Combine networks into one bundle that averages their logits; an interrupted run resumes.

    Args:
        root: The project's folder.
        bundles: The bundles to join; without any, one is trained for each training fold of the clean protocol.
        output: The folder of the ensemble; ``models/ensemble`` where None.
        calibrate_on: Class folders of other scans, on which to fit the temperature.
        test: Score the ensemble on the scans that no member was trained on, and write ``reports/ensemble``.
        config: The settings.
        workers: How many networks train at a time, each in a process of its own; 0 trains in this process.
        engine: Where these processes run: ``local``, or ``ray`` (tasks of a Ray cluster).
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        UsageError: There are fewer than two bundles, or two that cannot be joined.
        DatasetError: There is no prepared set, or the bundles were trained on another one.
    """
    require_extra("train", "an ensemble", *TRAINING_LIBRARIES)
    from brainslice.training import build_ensemble, train_members

    chosen, paths = open_project(root, config)
    members = [Path(each) for each in bundles] or train_members(
        Path(root), chosen, progress, workers=workers, engine=engine
    )
    folder = Path(root) / "models" / "ensemble" if output is None else Path(output)
    calibration = None if calibrate_on is None else Path(calibrate_on)
    joined = build_ensemble(members, folder, paths, chosen, progress, calibration_folder=calibration)
    untested = EnsembleBundle(joined.bundle, joined.assignment, joined.notes)
    if not test:
        return untested
    return _test_ensemble(untested, replace(paths, reports=paths.reports / "ensemble"), chosen, progress)


def _test_ensemble(joined: EnsembleBundle, paths: ProjectPaths, config: Config, progress: Progress) -> EnsembleBundle:
    from brainslice.evaluation import analyse_errors, evaluate_test_set, explain, measure_gains
    from brainslice.files import write_json
    from brainslice.report import write_reports

    assignment = joined.assignment if len(joined.assignment.split.test) else None
    scored = evaluate_test_set(paths, config, progress, assignment=assignment, bundle=joined.bundle.folder)
    explained = explain(scored, paths.reports / "gradcam", _OVERLAYS, progress)
    write_reports(scored, explained, paths.reports, analyse_errors(scored, progress))
    members, logits = joined.bundle.info.ensemble, scored.output.member_logits
    temperatures = [member.temperature for member in members.members] if members else []
    gains = () if logits is None else measure_gains(scored.scored, logits, temperatures, config.seed)
    write_json(paths.reports / "gains.json", {gain.name: gain.to_json() for gain in gains}, "ensemble-gains")
    write_report(paths.reports)
    return replace(joined, test=scored, gains=gains)


def calibrate(logits: Logits, labels: Labels) -> Temperature:
    """Fit the temperature of temperature scaling on held-out logits.

    Args:
        logits: Raw scores ``(n, k)`` of scans that did not train the network.
        labels: Their classes ``(n,)``, each in ``[0, k)``.

    Raises:
        CalibrationError: The labels allow no finite temperature.

    Reference:
        Guo et al., On calibration of modern neural networks, 2017.
    """
    from brainslice.decision import fit_temperature

    return fit_temperature(logits, labels)


@writes_project("adapting")
def adapt(
    data: AnyPath,
    root: AnyPath = ".",
    *,
    bundle: AnyPath | None = None,
    config: Settings = None,
    accept_forgetting: bool = False,
    progress: Progress = silent,
) -> AdaptationResult:
    """Fine-tune a bundle for another site, write a new bundle and ``reports/external``; every score is out of fold.

    Args:
        data: The site's folder, ``yes`` and ``no`` or class folders.
        root: The project's folder.
        bundle: The bundle to start from; the project's own where None.
        config: The settings.
        accept_forgetting: Write the bundle although it loses more on its source than ``adapt.max_forgetting``.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        DatasetError: The folder holds no such scans, or there is no prepared set.
        ForgettingError: The adapted network lost more on its source than allowed.
    """
    require_extra("train", "adaptation", *TRAINING_LIBRARIES)
    from brainslice.bundle import read_adaptation
    from brainslice.report import adaptation_tables, write_adaptation
    from brainslice.training import adapt as adapt_network

    chosen, paths = open_project(root, config)
    base = paths.bundle if bundle is None else Path(bundle)
    adapted = adapt_network(paths, chosen, Path(data), base, accept_forgetting=accept_forgetting, progress=progress)
    stored = read_adaptation(adapted.bundle)
    content = {} if stored is None else stored.model_dump(mode="json", exclude={"out_of_fold"})
    write_adaptation(paths.reports / "external", Path(data).resolve().name, content, adaptation_tables(adapted))
    write_report(root)
    return adapted
