"""Drawn sets that the room's tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brainslice.phantom import write_phantoms


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five heads of each kind, two slices each, with planted copies; not to be written to."""
    folder = tmp_path_factory.mktemp("drawn") / "heads"
    write_phantoms(folder, patients_per_class=5, slices=2)
    return folder


@pytest.fixture
def source(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn set that a test may spoil."""
    return Path(shutil.copytree(drawn, tmp_path / "source"))
