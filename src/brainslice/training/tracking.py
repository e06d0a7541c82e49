"""Experiment trackers: MLflow and W&B, each run found again by the digest of its bundle.

Settings, metrics of the epochs and final metrics are recorded, never images. Unless ``log.tracking_uri`` is a server,
everything stays in the project's folder of logs.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from brainslice.config import Config, LogConfig
from brainslice.lazy import require_extra
from brainslice.lock import exclusive_lock
from brainslice.training.history import Epoch

_EXPERIMENT: Final = "brainslice"
_MODULES: Final = {"mlflow": ("mlflow", "sqlalchemy", "alembic"), "wandb": ("wandb",)}
_BATCH: Final = 100
"""The most metrics or settings in one request to MLflow."""

_PRIVATE: Final = ("data.root", "data.external", "data.cache", "log")


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker records of a training.

    Attributes:
        name: The name of the bundle.
        digest: The digest of the bundle, which identifies the run.
        parameters: Settings by key.
        epochs: Metrics of each epoch.
        metrics: Final metrics; None where undefined.
    """

    name: str
    digest: str
    parameters: Mapping[str, str]
    epochs: Sequence[Epoch]
    metrics: Mapping[str, float | None]

    @property
    def defined(self) -> dict[str, float]:
        """The final metrics that are defined."""
        return {name: float(value) for name, value in self.metrics.items() if value is not None}


class Tracker(Protocol):
    """Records a run, or adds to the run with the same digest."""

    def __call__(self, run: TrackedRun, folder: Path, uri: str | None) -> None:
        """Record a run in a folder, or on the server of a URI."""
        ...


def require_tracker(config: LogConfig) -> None:
    """Check that the configured tracker is installed.

    Raises:
        MissingExtraError: It is not.
    """
    if config.tracker != "none":
        require_extra(config.tracker, f"log.tracker: {config.tracker}", *_MODULES[config.tracker])


def track(run: TrackedRun, root: Path, config: LogConfig) -> tuple[str, ...]:
    """Record a run with the configured tracker.

    Returns:
        A note where the tracker failed, as without its server: the training is finished all the same.

    Raises:
        MissingExtraError: The tracker is not installed.
    """
    require_tracker(config)
    if config.tracker == "none":
        return ()
    folder = (root / config.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    trackers: dict[str, Tracker] = {"mlflow": _track_mlflow, "wandb": _track_wandb}
    try:
        # Folds that train at the same time share the store.
        with exclusive_lock(folder / ".tracker.lock", "recording a run", wait=True):
            trackers[config.tracker](run, folder, None if config.tracking_uri == "local" else config.tracking_uri)
    except Exception as error:  # noqa: BLE001 - whatever a tracker and its server raise
        reason = " ".join(str(error).split())[:200]
        return (f"{config.tracker} could not record this run ({type(error).__name__}: {reason}); see log.tracker",)
    return ()


def parameters_of(config: Config) -> dict[str, str]:
    """Return the settings by key, without folders of this machine."""
    flat: dict[str, str] = {}
    pending: list[tuple[str, Any]] = [("", config.model_dump(mode="json"))]
    while pending:
        prefix, value = pending.pop()
        if isinstance(value, dict):
            pending += [(f"{prefix}.{key}" if prefix else key, each) for key, each in value.items()]
        elif not prefix.startswith(_PRIVATE):
            flat[prefix] = str(value)
    return dict(sorted(flat.items()))


def _track_mlflow(run: TrackedRun, folder: Path, uri: str | None) -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # SQLAlchemy deprecates what MLflow uses.
        warnings.simplefilter("ignore")
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - an extra
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - an extra

        client = MlflowClient(tracking_uri=uri or f"sqlite:///{folder / 'mlflow.db'}")
        found = client.get_experiment_by_name(_EXPERIMENT)
        place = None if uri else (folder / "mlflow").as_uri()
        experiment = found.experiment_id if found else client.create_experiment(_EXPERIMENT, artifact_location=place)
        earlier = client.search_runs([experiment], f"tags.bundle = '{run.digest}'")
        record = earlier[0] if earlier else client.create_run(experiment, None, {"bundle": run.digest}, run.name)
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in run.defined.items()]
        for epoch in run.epochs:
            metrics += [Metric(name, value, now, epoch.number) for name, value in _numbers(epoch).items()]
        parameters = [Param(*each) for each in run.parameters.items()]
        for some in _batches(metrics):
            client.log_batch(record.info.run_id, metrics=some)
        for some in _batches(parameters):
            client.log_batch(record.info.run_id, params=some)
        client.set_terminated(record.info.run_id)


def _batches(values: list[Any]) -> Iterator[list[Any]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _track_wandb(run: TrackedRun, folder: Path, uri: str | None) -> None:
    # Errors of W&B itself would be reported to its makers.
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    import wandb  # noqa: PLC0415 - an extra

    quiet = {"console": "off", "silent": True, "save_code": False, "disable_git": True}
    private = {"x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True}
    where = {"mode": "offline"} if uri is None else {"mode": "online", "base_url": uri}
    settings = wandb.Settings(**quiet, **private, **where)
    identity: dict[str, Any] = {"project": _EXPERIMENT, "name": run.name, "id": run.digest[:32], "resume": "allow"}
    with wandb.init(dir=str(folder), config=dict(run.parameters), settings=settings, **identity) as record:
        for epoch in run.epochs:
            record.log(_numbers(epoch), step=epoch.number)
        record.summary.update(run.defined)


def _numbers(epoch: Epoch) -> dict[str, float]:
    values = asdict(epoch)
    return {name: float(value) for name, value in values.items() if name not in {"number", "stage"}}
