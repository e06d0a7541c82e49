from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from stand_in import config, prepare_project, write_bundle_for


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project with a bundle, for reading only."""
    root = prepare_project(tmp_path_factory.mktemp("rows") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture(scope="session")
def predictor(trained: Path) -> Predictor:
    return Predictor.open(trained / "models" / "bundle")


@pytest.fixture
def tree(trained: Path, tmp_path: Path) -> Path:
    """A folder of 41 scans in folders, and one file that is none: more than one batch."""
    scans = sorted(path for path in (trained / "source").rglob("*.png"))[:20]
    for number in range(41):
        folder = tmp_path / "tree" / f"{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(scans[number % len(scans)], folder / f"scan{number:02}.png")
    (tmp_path / "tree" / "3" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "tree"
