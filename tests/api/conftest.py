from __future__ import annotations

from pathlib import Path

import pytest

import brainslice
from brainslice.paths import ProjectPaths
from stand_in import config, prepare_project, write_bundle_for


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare_project(tmp_path_factory.mktemp("api") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture
def scan(trained: Path) -> Path:
    return min((trained / "source" / "Testing" / "glioma").iterdir())


@pytest.fixture
def predictor(trained: Path) -> brainslice.Predictor:
    return brainslice.Predictor.open(str(trained / "models" / "bundle"))
