from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.paths import ProjectPaths
from brainslice.training.adaptation.bundle import names_for
from stand_in import config


@pytest.mark.parametrize(
    ("site", "short"), [("external_navoneel", "navoneel"), ("clinic", "clinic"), ("external_", "external_")]
)
def test_names_for_a_site(site: str, short: str, tmp_path: Path) -> None:
    names = names_for(ProjectPaths.of(tmp_path, config()), site)
    assert names.network == tmp_path / "models" / f"finetuned_{short}.keras"
    assert names.bundle == tmp_path / "models" / f"adapted_{short}"
