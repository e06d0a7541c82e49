from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from stand_in import config, prepare_project, write_bundle_for


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a bundle that needed no training."""
    root = prepare_project(tmp_path_factory.mktemp("pacs") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture(scope="session")
def predictor(project: Path) -> Predictor:
    return Predictor.open(project / "models" / "bundle")
