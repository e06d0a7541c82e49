from __future__ import annotations

from pathlib import Path

import pytest

from stand_in import copy_project, prepare_project


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared project, for reading only."""
    return prepare_project(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Path:
    """A prepared project of the test's own."""
    return copy_project(prepared, tmp_path / "project")
