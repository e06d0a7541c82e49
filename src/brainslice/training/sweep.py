"""Search for settings with Optuna: trainings in processes of their own, compared on validation scans only."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from brainslice.config import Config
from brainslice.dataset import Manifest, assign_split
from brainslice.engine import open_group
from brainslice.errors import BrainsliceError, CalibrationError, UsageError, WorkerDiedError
from brainslice.files import write_json, write_text
from brainslice.paths import ProjectPaths, lock_of_caller, writes_project
from brainslice.processes import Call, ProcessGroup, Send, send_progress, show_progress
from brainslice.progress import Progress, silent
from brainslice.training.history import Epoch
from brainslice.training.pipeline import fit_network
from brainslice.training.search_space import Space, format_value

METRICS: Final[tuple[str, ...]] = ("validation_score", "validation_loss", "validation_accuracy", "epochs", "seconds")
"""The columns of results; ``validation_score``, the loss at its best temperature in nats, is minimised."""

_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_INTERRUPTED: Final = "interrupted"
_LAST_STAGES: Final = ("tail", "all")
_TRIALS_BEFORE_PRUNING: Final = 4


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """Options of a sweep.

    Attributes:
        name: The name of its folder.
        trials: The number of trials, those of earlier runs included.
        workers: The number of trials at a time, each in a process of its own.
        engine: Where these processes run, one of ``engine.ENGINES``.
    """

    name: str = "sweep"
    trials: int = 20
    workers: int = 1
    engine: str = "local"

    def __post_init__(self) -> None:
        if self.trials < 1 or self.workers < 1 or not re.fullmatch(r"[\w-]+", self.name):
            msg = (
                "a sweep takes at least 1 trial and 1 worker, and a name of letters, digits, - and _, got "
                f"{self.trials}, {self.workers} and {self.name!r}"
            )
            raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Trials of a sweep.

    Attributes:
        trials: A row for each trial: number, state (``complete``, ``pruned``, ``fail``), settings, ``METRICS``, error.
        best: The row with the lowest ``validation_score``; None where no trial is complete.
        folder: Where ``trials.csv``, ``trials.json``, ``best.yaml`` and the study are.
    """

    trials: tuple[dict[str, Any], ...]
    best: dict[str, Any] | None
    folder: Path

    @property
    def overrides(self) -> tuple[str, ...]:
        """The best settings as ``--set`` takes them."""
        settings = {} if self.best is None else self.best["settings"]
        return tuple(f"{key}={format_value(value)}" for key, value in settings.items())


@writes_project("searching settings")
def run_sweep(root: Path, config: Config, space: Space, options: SweepOptions, progress: Progress = silent) -> Sweep:
    """Train with settings that Optuna proposes, and write ``reports/sweep/NAME``; an interrupted sweep resumes.

    Trials are compared on the validation scans. One that is worse than the median of the others after as many epochs
    is ended. No test scan is read.

    Args:
        root: The project's folder, with a prepared set.
        config: All other settings.
        space: The values to try.
        options: Name, trials and processes.
        progress: Called with the trial, the step and how far it is.

    Raises:
        UsageError: A sweep of this name has other settings, values or scans.
        DatasetError: There is no prepared set.
        BrainsliceError: No trial could be trained; the first error.
    """
    folder, trials, workers = root / "reports" / "sweep" / options.name, options.trials, options.workers
    study = _open_study(folder, config, workers, _digest(root, config, space))
    runner = _Runner(study, root, config, space, folder, progress)
    runner.resume_interrupted()
    missing = trials - len(_shown(study))
    with ThreadPoolExecutor(workers) as pool, open_group(options.engine, workers) as group:
        futures = [pool.submit(runner.run_trial, group) for _ in range(missing)]
        try:
            for number, future in enumerate(futures):
                progress("trials", trials - missing + number, trials)
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    progress("trials", trials, trials)
    sweep = runner.write()
    if sweep.best is None and sweep.trials:
        msg = f"{folder}: no trial could be trained; the first: {sweep.trials[0]['error']}"
        raise BrainsliceError(msg)
    return sweep


def run_trial(arguments: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Train with the settings of one trial, in a process that ``run_sweep`` started, and return its ``METRICS``."""
    root, config = Path(arguments["root"]), Config.model_validate(arguments["config"])
    started = time.monotonic()

    def each_epoch(epochs: Sequence[Epoch]) -> None:
        if not math.isfinite(epochs[-1].validation_score):
            msg = f"the validation loss of epoch {epochs[-1].number} is not finite; search lower learning rates"
            raise CalibrationError(msg)
        stage = [epoch.validation_score for epoch in epochs if epoch.stage == epochs[-1].stage]
        if epochs[-1].stage in _LAST_STAGES:
            send({"epoch": [len(stage), min(stage)]})

    with lock_of_caller(root):
        paths = replace(ProjectPaths.of(root, config), models=Path(arguments["models"]))
        *_, epochs = fit_network(paths, config, progress=send_progress(send), each_epoch=each_epoch)
        shutil.rmtree(paths.models, ignore_errors=True)
    best = asdict(min(epochs, key=lambda epoch: epoch.validation_score))
    return {metric: best[metric] for metric in METRICS if metric in best} | {
        "epochs": len(epochs),
        "seconds": round(time.monotonic() - started, 1),
    }


@dataclass(frozen=True, slots=True)
class _Runner:
    study: optuna.Study
    root: Path
    config: Config
    space: Space
    folder: Path
    progress: Progress
    lock: threading.Lock = threading.Lock()  # noqa: RUF009 - one sweep at a time writes in a project

    def resume_interrupted(self) -> None:
        """Start trials of a killed run again, which resume from their checkpoints; safe to be killed itself."""
        waiting = [_given(trial) for trial in self.study.get_trials(states=(TrialState.WAITING,))]
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.set_user_attr(f"{_INTERRUPTED}_{trial.number}", value=True)
            settings = _given(trial) | trial.params
            if settings not in waiting:
                self.study.enqueue_trial(settings)
            self.study.tell(trial.number, state=TrialState.FAIL)

    def run_trial(self, group: ProcessGroup) -> None:
        """Run one trial and tell Optuna its result."""
        with self.lock:
            trial = self.study.ask(dict(self.space))
        config = self._config(trial.params)
        # Named by its settings, so that a trial that starts again finds its checkpoints.
        models = self.root / "models" / "sweep" / self.folder.name / _hash(config.model_dump(mode="json"))[:12]
        arguments = {"root": str(self.root), "config": config.model_dump(mode="json"), "models": str(models)}
        call = Call(f"{__name__}:run_trial", arguments, f"trial {trial.number}")

        def listen(message: Mapping[str, Any]) -> bool:
            show_progress(self.progress, call, message)
            if "epoch" not in message:
                return True
            step, score = message["epoch"]
            with self.lock:
                trial.report(score, step)
                return not trial.should_prune()

        try:
            found = group.run(call, listen)
        except BrainsliceError as error:
            if isinstance(error, WorkerDiedError) and group.closed:
                return  # interrupted: the next run resumes it
            trial.set_user_attr("error", " ".join(str(error).split()))
            self._tell(trial, TrialState.FAIL)
            return
        for metric in METRICS if found else ():
            trial.set_user_attr(metric, found[metric])
        shutil.rmtree(models, ignore_errors=True)
        self._tell(trial, *((TrialState.COMPLETE, found["validation_score"]) if found else (TrialState.PRUNED,)))

    def _tell(self, trial: optuna.Trial, state: TrialState, value: float | None = None) -> None:
        with self.lock:
            self.study.tell(trial, value, state)
            self.write()

    def _config(self, settings: Mapping[str, Any]) -> Config:
        values = self.config.model_dump(mode="json")
        for key, value in settings.items():
            *sections, last = key.split(".")
            inner = values
            for section in sections:
                inner = inner[section]
            inner[last] = value
        return Config.model_validate(values)

    def write(self) -> Sweep:
        """Write the table of all trials, and the best settings as a configuration."""
        trials = tuple(_row(trial) for trial in _shown(self.study))
        complete = [row for row in trials if row["state"] == "complete"]
        best = min(complete, key=lambda row: row["validation_score"], default=None)
        content = {"minimised": METRICS[0], "best": best, "trials": trials}
        write_json(self.folder / "trials.json", content | {"config": self.config.model_dump(mode="json")}, "sweep")
        write_text(self.folder / "trials.csv", _csv(trials, list(self.space)))
        if best is not None:
            config = self._config(best["settings"]).model_dump(mode="json")
            write_text(self.folder / "best.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        return Sweep(trials, best, self.folder)


def _open_study(folder: Path, config: Config, workers: int, digest: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{folder / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name=folder.name, load_if_exists=True)
    # With one seed only, a resumed sampler would propose its first values again.
    seed = config.seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=workers > 1)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_TRIALS_BEFORE_PRUNING, n_warmup_steps=1)
    if study.user_attrs.setdefault("digest", digest) != digest:
        msg = f"{folder}: holds a sweep of other settings, values or scans; give another --name, or delete that folder"
        raise UsageError(msg)
    study.set_user_attr("digest", digest)
    return study


def _digest(root: Path, config: Config, space: Space) -> str:
    """Compute a digest of what the trials of a sweep share, without which they could not be compared."""
    assignment = assign_split(Manifest.read(ProjectPaths.of(root, config).data), config)
    settings = config.model_dump(mode="json", include={"seed", "train", "augment", "model", "preprocessing"})
    values = {key: optuna.distributions.distribution_to_json(each) for key, each in space.items()}
    return _hash([settings, config.data.image_size, values, assignment.manifest.digest, assignment.split.digest])


def _hash(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _shown(study: optuna.Study) -> list[FrozenTrial]:
    """Return the finished trials that were not interrupted."""
    finished = study.get_trials(states=_FINISHED)
    return [trial for trial in finished if f"{_INTERRUPTED}_{trial.number}" not in study.user_attrs]


def _given(trial: FrozenTrial) -> dict[str, Any]:
    """Return the settings that a trial was enqueued with."""
    return dict(trial.system_attrs.get("fixed_params", {}))


def _row(trial: FrozenTrial) -> dict[str, Any]:
    found = {metric: trial.user_attrs.get(metric) for metric in METRICS}
    if trial.state is TrialState.PRUNED:
        found |= {"epochs": trial.last_step, "validation_score": trial.value}
    state = {"number": trial.number, "state": trial.state.name.lower(), "settings": trial.params}
    return state | found | {"error": trial.user_attrs.get("error")}


def _csv(trials: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "state", *keys, *METRICS, "error"])
    for row in trials:
        settings = [row["settings"].get(key) for key in keys]
        writer.writerow([row["number"], row["state"], *settings, *(row[metric] for metric in METRICS), row["error"]])
    return text.getvalue()
