"""Sweeps, with a stand-in for the training except where a test says so."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from brainslice.config import Config, read_config
from brainslice.errors import BrainsliceError, UsageError
from brainslice.processes import Call
from brainslice.progress import Progress, silent
from small_training import SMALL, small_call, small_network
from stand_in import config

optuna = pytest.importorskip("optuna", reason="needs the extra brainslice[sweep]")

from brainslice.training import pipeline, sweep  # noqa: E402 - needs optuna
from brainslice.training.search_space import parse_space  # noqa: E402 - needs optuna
from brainslice.training.sweep import Sweep, SweepOptions, run_sweep, run_trial  # noqa: E402 - needs optuna

DROPOUT = "model.dropout=0..0.8"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """The arguments of all trials, which are stand-ins."""
    made: list[Mapping[str, Any]] = []

    def call(_function: str, arguments: Mapping[str, Any], name: str) -> Call:
        made.append(arguments)
        return Call("process_calls:trial", arguments, name)

    monkeypatch.setattr(sweep, "Call", call)
    return made


def search(project: Path, *space: str, trials: int = 3, workers: int = 1, progress: Progress = silent) -> Sweep:
    options = SweepOptions(trials=trials, workers=workers)
    return run_sweep(project, config(), parse_space(space or (DROPOUT,)), options, progress)


def test_every_trial_has_a_row_and_the_best_its_settings(project: Path, calls: list[Mapping[str, Any]]) -> None:
    result = search(project, DROPOUT, "model.head=linear|pyramid", trials=4, workers=2)
    assert len(calls) == len(result.trials) == 4
    assert {row["state"] for row in result.trials} == {"complete"}
    assert result.best == min(result.trials, key=lambda row: row["validation_score"])
    best = read_config(result.folder / "best.yaml")
    assert best == config(*result.overrides)
    assert best.model.dropout == result.best["settings"]["model.dropout"]
    with (result.folder / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["model.dropout"]) for row in rows] == [row["settings"]["model.dropout"] for row in result.trials]
    content = json.loads((result.folder / "trials.json").read_text())
    assert content["schema"] == "brainslice/sweep/1"
    assert content["best"] == result.best
    assert Config.model_validate(content["config"]) == config()
    assert not (project / "reports" / "test_ledger.jsonl").exists()


def test_equal_seeds_try_equal_settings(project: Path, calls: list[Mapping[str, Any]]) -> None:
    one = run_sweep(project, config(), parse_space((DROPOUT,)), SweepOptions("one", 2))
    other = run_sweep(project, config(), parse_space((DROPOUT,)), SweepOptions("other", 2))
    assert [row["settings"] for row in one.trials] == [row["settings"] for row in other.trials]
    assert len({str(row["settings"]) for row in one.trials}) == len(calls) / 2


def test_interrupted_trial_is_run_again_with_its_settings(
    project: Path, calls: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = sweep.show_progress

    def interrupt(progress: Progress, call: Call, message: Mapping[str, Any]) -> None:
        if call.name == "trial 1":
            raise KeyboardInterrupt
        original(progress, call, message)

    monkeypatch.setattr(sweep, "show_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search(project)
    monkeypatch.setattr(sweep, "show_progress", original)
    result = search(project)
    assert [row["state"] for row in result.trials] == ["complete"] * 3
    models = [arguments["models"] for arguments in calls]
    assert models.count(calls[1]["models"]) == 2
    assert len(set(models)) == 3
    assert search(project).trials == result.trials
    assert len(calls) == len(models)


def test_sweep_killed_while_it_resumes_repeats_no_trial(
    project: Path, calls: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "show_progress", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search(project)
    begun = {arguments["models"] for arguments in calls}
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "tell", interrupt)
            with pytest.raises(KeyboardInterrupt):
                search(project)
    result = search(project, trials=6)
    assert [row["state"] for row in result.trials] == ["complete"] * 6
    assert len({row["settings"]["model.dropout"] for row in result.trials}) == 6
    models = [arguments["models"] for arguments in calls]
    assert {each for each in models if models.count(each) == 2} == begun


CALLER = """
import sys
from pathlib import Path
from brainslice.processes import Call
from brainslice.training import sweep
from brainslice.training.search_space import parse_space
from stand_in import config
sweep.Call = lambda _, arguments, name: Call("process_calls:slow_trial", arguments, name)
options = sweep.SweepOptions(trials=8, workers=2)
sweep.run_sweep(Path(sys.argv[1]), config(), parse_space(["model.dropout=0..0.8"]), options)
"""


@pytest.mark.slow_only
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed with a POSIX signal")
def test_killed_sweep_resumes_and_counts_no_trial_twice(project: Path) -> None:
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    folder, kills = project / "reports" / "sweep" / "sweep", 3
    begun = project / "begun.txt"
    begun.touch()
    for _ in range(kills):
        before = len(begun.read_text().splitlines())
        with subprocess.Popen([sys.executable, "-c", CALLER, str(project)], env=variables) as caller:
            while len(begun.read_text().splitlines()) < before + 3 and caller.poll() is None:
                time.sleep(0.02)
            assert caller.poll() is None
            caller.kill()
    subprocess.run([sys.executable, "-c", CALLER, str(project)], env=variables, check=True)
    trials = json.loads((folder / "trials.json").read_text())["trials"]
    assert len(trials) == 8
    assert {row["state"] for row in trials} <= {"complete", "pruned"}
    assert len({row["settings"]["model.dropout"] for row in trials}) == 8
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'study.db'}")
    states = [trial.state.name for trial in study.get_trials()]
    assert states.count("COMPLETE") + states.count("PRUNED") == 8
    assert 1 <= states.count("FAIL") <= 2 * kills
    assert len(states) == 8 + states.count("FAIL")
    # A killed trial started again with its settings, and so in its folder of checkpoints.
    assert len(set(begun.read_text().splitlines())) == 8


def test_bad_trials_are_ended_early(
    project: Path, calls: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_TRIALS_BEFORE_PRUNING", 1)
    result = search(project, trials=8)
    pruned = [row for row in result.trials if row["state"] == "pruned"]
    assert len(calls) == 8
    assert pruned
    assert all(row["epochs"] < 5 and row["seconds"] is None for row in pruned)


def test_failed_trial_is_a_row(project: Path, calls: list[Mapping[str, Any]]) -> None:
    result = search(project, "model.dropout=0.1|0.9", trials=4)
    failed = [row for row in result.trials if row["state"] == "fail"]
    assert len(calls) == 4
    assert failed
    assert {row["error"] for row in failed} == {"the disk is full"}
    assert result.overrides == ("model.dropout=0.1",)


def test_sweep_without_any_result_states_the_first_error(project: Path, calls: list[Mapping[str, Any]]) -> None:
    with pytest.raises(BrainsliceError, match=r"sweep: no trial could be trained; the first: the disk is full"):
        search(project, "model.dropout=0.9|0.95", trials=1)
    assert calls


def test_other_values_need_another_name(project: Path, calls: list[Mapping[str, Any]]) -> None:
    search(project, trials=1)
    with pytest.raises(UsageError, match="other settings, values or scans; give another --name"):
        search(project, "model.dropout=0..0.5", trials=2)
    assert len(calls) == 1


@pytest.mark.parametrize("options", [{"trials": 0}, {"workers": 0}, {"name": "../elsewhere"}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at least 1 trial and 1 worker, and a name of letters"):
        SweepOptions(**options)


def test_trial_trains_and_leaves_no_model(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "build_network", small_network)
    models, sent = project / "models" / "sweep" / "one", []
    settings = config(*SMALL, "train.batch_size=4")
    arguments = {"root": str(project), "config": settings.model_dump(mode="json"), "models": str(models)}
    found = run_trial(json.loads(json.dumps(arguments)), sent.append)
    assert set(found) == set(sweep.METRICS)
    epochs = [message["epoch"] for message in sent if "epoch" in message]
    assert [step for step, _ in epochs] == [1, 2]
    assert found["validation_score"] <= epochs[1][1] <= epochs[0][1]
    assert found["epochs"] == 4
    assert not models.exists()


@pytest.mark.slow_only
@pytest.mark.timeout(1800)
def test_real_trainings_in_processes_here_and_on_ray(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setattr(sweep, "Call", small_call)
    settings = config(*SMALL, "train.batch_size=4")
    space = parse_space(("train.quick.lr=log:1e-4..1e-2",))
    here, there = (
        run_sweep(project, settings, space, SweepOptions(engine, 2, workers, engine))
        for engine, workers in (("local", 1), ("ray", 1))
    )
    assert [row["state"] for row in here.trials] == ["complete", "complete"]
    assert here.trials[0]["validation_score"] != here.trials[1]["validation_score"]
    assert [row | {"seconds": 0} for row in there.trials] == [row | {"seconds": 0} for row in here.trials]


@pytest.mark.slow_only
def test_bad_trials_are_ended_early_on_ray(
    project: Path, calls: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setattr(sweep, "_TRIALS_BEFORE_PRUNING", 1)
    result = run_sweep(project, config(), parse_space((DROPOUT,)), SweepOptions(trials=5, workers=2, engine="ray"))
    assert len(calls) == len(result.trials) == 5
    assert {row["state"] for row in result.trials} == {"complete", "pruned"}
