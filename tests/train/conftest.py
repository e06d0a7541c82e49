from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.cohort.decoded import decode
from brainslice.cohort.manifest import Manifest
from brainslice.cohort.split import Protocol, make_split
from brainslice.network.build import NetworkPlan
from brainslice.phantom import write_site
from brainslice.places import Places
from brainslice.prepare.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.train import ground, run
from brainslice.train.task import Task
from small_training import SMALL, keras_trunk, rebuilt_network, small_network
from stand_in import SIZE, config, copy_project, prepare_project

MakeTask = Callable[..., Task]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project, for reading only."""
    return prepare_project(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Path:
    """A prepared project of the test's own."""
    return copy_project(prepared, tmp_path / "project")


@pytest.fixture(scope="session")
def manifest(prepared: Path) -> Manifest:
    """Its scans."""
    return Manifest.read(prepared / "data")


@pytest.fixture(scope="session")
def scans(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Its scans as a network sees them."""
    return np.array(decode(manifest, Recipe(size=SIZE), tmp_path_factory.mktemp("cache"), silent))


@pytest.fixture
def make_task(manifest: Manifest, scans: np.ndarray, tmp_path: Path) -> MakeTask:
    """Give a maker of small trainings; those of one test share their cache and, by name, their checkpoints."""

    def make(*overrides: str, name: str = "one", progress: Progress = silent, pretrained: bool = True) -> Task:
        settings = config(*SMALL, *overrides)
        first = Path("pretrained.h5") if pretrained else None
        plan = NetworkPlan(size=SIZE, dropout=settings.model.dropout, weights=first, seed=settings.seed)
        task = Task(
            network=small_network(plan),
            inputs=scans,
            labels=manifest.label_indices,
            split=make_split(manifest, Protocol.CLEAN),
            config=settings,
            content="the drawn scans",
            cache=tmp_path / "cache",
            workspace=tmp_path / name,
            progress=silent,
        )
        return replace(task, progress=progress)

    return make


@pytest.fixture
def small_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few layers stand in for the backbone, when a bundle is opened for adapting too."""
    monkeypatch.setattr(ground, "build", rebuilt_network)
    monkeypatch.setattr(ground, "fast_trunk", lambda network, _: keras_trunk(network))


@pytest.fixture(scope="session")
def trained_project(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project with a bundle of a few layers, and another site's drawn heads beside it."""
    root = copy_project(prepared, tmp_path_factory.mktemp("trained") / "project")
    chosen = config(*SMALL, "train.batch_size=4")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "build", small_network)
        run.train(Places.of(root, chosen), chosen)
    write_site(root / "elsewhere", heads_per_kind=9, slices=1, seed=3)
    return root


@pytest.fixture
def adaptable(trained_project: Path, small_everywhere: None, tmp_path: Path) -> Path:  # noqa: ARG001 - must be in place
    """A copy of that project that a test may write to."""
    return copy_project(trained_project, tmp_path / "adaptable")
