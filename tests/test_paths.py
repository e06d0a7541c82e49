from __future__ import annotations

from pathlib import Path

from brainslice.config import Config
from brainslice.paths import ProjectPaths


def test_protocols_share_data_and_ledger_and_nothing_they_produce() -> None:
    clean, official = (ProjectPaths.of(Path("here"), Config(), name) for name in ("clean", "official"))
    assert (clean.data, clean.cache, clean.test_access_log) == (official.data, official.cache, official.test_access_log)
    for name in ("models", "reports", "logs", "bundle", "best", "workspace"):
        assert getattr(clean, name) != getattr(official, name)


def test_the_clean_results_lie_where_everyone_looks() -> None:
    places = ProjectPaths.of(Path("here"), Config())
    assert places.best == Path("here/models/best.keras")
    assert places.reports == Path("here/reports")
