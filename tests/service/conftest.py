from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.service.app import create_app
from brainslice.service.settings import Settings
from stand_in import config, prepare_project, write_bundle_for

HERE = "http://127.0.0.1:8000"

MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project with a bundle, for reading only."""
    root = prepare_project(tmp_path_factory.mktemp("served"))
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture(scope="session")
def predictor(served: Path) -> Predictor:
    return Predictor.open(served / "models" / "bundle", threads=1)


@pytest.fixture(scope="session")
def scans(served: Path) -> list[Path]:
    return sorted(path for path in (served / "source" / "Testing").rglob("*") if path.is_file())


@pytest.fixture
def make_client(predictor: Predictor) -> Iterator[MakeClient]:
    """Start services of the test's own; they end with the test."""
    with contextlib.ExitStack() as running:

        def start(settings: Settings | None = None, *, other: Predictor | None = None) -> TestClient:
            app = create_app(other or predictor, settings)
            return running.enter_context(TestClient(app, base_url=HERE, raise_server_exceptions=False))

        yield start


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()
