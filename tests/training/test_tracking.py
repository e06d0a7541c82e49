"""Trackers, for real and without network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from brainslice.config import LogConfig
from brainslice.errors import MissingExtraError
from brainslice.lazy import is_installed
from brainslice.paths import ProjectPaths
from brainslice.training import pipeline, tracking
from brainslice.training.history import Epoch
from brainslice.training.tracking import TrackedRun, parameters_of, track
from small_training import SMALL, small_network
from stand_in import config

RUN = TrackedRun(
    name="drawn-clean",
    digest="ab" * 32,
    parameters={"train.lr": "0.001", "model.head": "linear"},
    epochs=(
        Epoch(1, "head", 0.01, 1.25, 0.5, 1.125, 0.5, 1.0625, 0.4),
        Epoch(2, "tail", 0.001, 0.75, 0.6, 0.9, 0.8, 0.8, 0.7),
    ),
    metrics={"final_validation_accuracy": 0.8125, "undefined": None},
)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_socket: socket.socket, address: object) -> None:
        raise AssertionError(address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def test_parameters_are_settings_without_folders() -> None:
    parameters = parameters_of(config("train.lr=0.5"))
    assert parameters["train.lr"] == "0.5"
    assert parameters["data.image_size"] == "64"
    assert not [name for name in parameters if name.startswith(("log", "data.root", "data.cache", "data.external"))]


@pytest.mark.usefixtures("no_network")
def test_mlflow_holds_a_training_and_scores_that_are_added(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="needs the extra brainslice[mlflow]")
    pytest.importorskip("sqlalchemy", reason="needs the extra brainslice[mlflow]")
    monkeypatch.setattr(pipeline, "build_network", small_network)
    chosen = config(*SMALL, "train.batch_size=4", "log.tracker=mlflow")
    trained = pipeline.train(ProjectPaths.of(project, chosen), chosen)
    assert not [note for note in trained.notes if "mlflow" in note]
    digest = trained.bundle.info.digest
    assert track(TrackedRun("again", digest, {}, (), {"test_accuracy": 0.75}), project, chosen.log) == ()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{project / 'logs' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("brainslice").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["bundle"] == digest
    assert run.data.params == parameters_of(chosen)
    assert run.data.metrics["test_accuracy"] == 0.75
    assert run.data.metrics["final_validation_accuracy"] == trained.bundle.info.validation.accuracy
    history = client.get_metric_history(run.info.run_id, "validation_score")
    assert [(each.step, each.value) for each in history] == [
        (epoch.number, epoch.validation_score) for epoch in trained.epochs
    ]
    assert client.list_artifacts(run.info.run_id) == []


def test_wandb_writes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs the extra brainslice[wandb]")
    monkeypatch.setenv("WANDB_MODE", "online")
    assert track(RUN, tmp_path, LogConfig(tracker="wandb")) == ()
    (written,) = (tmp_path / "logs" / "wandb").glob("offline-run-*/run-*.wandb")
    content = written.read_bytes()
    for text in ("train.lr", "final_validation_accuracy", "0.8125", "validation_score", "1.0625", "drawn-clean"):
        assert text.encode() in content
    assert str(Path.cwd()).encode() not in content
    assert str(tmp_path).encode() not in content
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".png", ".jpg", ".onnx", ".keras"}]


def test_failing_tracker_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        msg = "server\nnot there"
        raise ConnectionError(msg)

    monkeypatch.setattr(tracking, "require_tracker", lambda _: None)
    monkeypatch.setattr(tracking, "_track_mlflow", fail)
    (note,) = track(RUN, tmp_path, LogConfig(tracker="mlflow"))
    assert note == "mlflow could not record this run (ConnectionError: server not there); see log.tracker"


def test_server_is_used_only_if_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(tracking, "require_tracker", lambda _: None)
    monkeypatch.setattr(tracking, "_track_wandb", lambda _run, _folder, uri: seen.append(uri))
    for uri in ("local", "https://tracker.example"):
        track(RUN, tmp_path, LogConfig(tracker="wandb", tracking_uri=uri))
    assert seen == [None, "https://tracker.example"]
    assert track(RUN, tmp_path / "none", LogConfig()) == ()
    assert not (tmp_path / "none").exists()


def test_missing_tracker_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brainslice.lazy.is_installed", lambda name: name != "mlflow" and is_installed(name))
    with pytest.raises(MissingExtraError, match=r"log.tracker: mlflow needs mlflow; install with: pip install"):
        track(RUN, tmp_path, LogConfig(tracker="mlflow"))
