from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.cache import decode_outlines, decode_scans
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.models.build import NetworkConfig
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.training import pipeline
from brainslice.training.lesions import TrainingImages
from brainslice.training.task import TrainingTask
from projects import run_eagerly
from small_training import SMALL, small_network, use_small_network
from stand_in import SIZE, config, copy_project, prepare_project

MakeTask = Callable[..., TrainingTask]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project with decoded scans and outlines in its cache, for reading only."""
    root = prepare_project(tmp_path_factory.mktemp("prepared"))
    found, paths = Manifest.read(root / "data"), ProjectPaths.of(root, config())
    for decode in (decode_scans, decode_outlines):
        decode(found, Recipe(size=SIZE), paths.cache)
    return root


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
    return np.array(decode_scans(manifest, Recipe(size=SIZE), tmp_path_factory.mktemp("cache"), silent))


@pytest.fixture
def make_task(manifest: Manifest, scans: np.ndarray, tmp_path: Path) -> MakeTask:
    """Give a maker of small trainings; those of one test share their cache and, by name, their checkpoints."""

    def make(*overrides: str, name: str = "one", progress: Progress = silent, pretrained: bool = True) -> TrainingTask:
        settings = config(*SMALL, *overrides)
        first = Path("pretrained.h5") if pretrained else None
        plan = NetworkConfig(
            size=SIZE,
            dropout=settings.model.dropout,
            weights=first,
            seed=settings.seed,
            head=settings.model.head,
            healthy=manifest.labels.healthy_index,
        )
        split = make_split(manifest, Protocol.CLEAN)
        task = TrainingTask(
            network=small_network(plan),
            images=TrainingImages.plain(scans, manifest.label_indices, split.train),
            split=split,
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
    use_small_network(monkeypatch)


@pytest.fixture(scope="session")
def trained_project(prepared: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A prepared project with a bundle of a few layers, and another site's drawn heads beside it."""
    root = copy_project(prepared, tmp_path_factory.mktemp("trained") / "project")
    chosen = config(*SMALL, "train.batch_size=4")
    with pytest.MonkeyPatch.context() as patched, run_eagerly(traced=pytestconfig.getoption("--slow")):
        patched.setattr(pipeline, "build_network", small_network)
        pipeline.train(ProjectPaths.of(root, chosen), chosen)
    write_external_site(root / "elsewhere", heads_per_kind=9, slices=1, seed=3)
    return root


@pytest.fixture
def adaptable(trained_project: Path, small_everywhere: None, tmp_path: Path) -> Path:  # noqa: ARG001 - must be in place
    """A copy of that project that a test may write to."""
    return copy_project(trained_project, tmp_path / "adaptable")
