from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from brainslice.config import Config
from brainslice.paths import ProjectPaths, project_lock, writes_project


def test_protocols_share_data_and_access_log_only() -> None:
    clean, official = (ProjectPaths.of(Path("here"), Config(), name) for name in ("clean", "official"))
    assert (clean.data, clean.cache, clean.test_access_log) == (official.data, official.cache, official.test_access_log)
    for name in ("models", "reports", "logs", "bundle", "best", "workspace"):
        assert getattr(clean, name) != getattr(official, name)


def test_clean_results_are_in_the_default_folders() -> None:
    places = ProjectPaths.of(Path("here"), Config())
    assert places.best == Path("here/models/best.keras")
    assert places.reports == Path("here/reports")


def test_one_command_at_a_time_writes_in_a_project(tmp_path: Path) -> None:
    take = f"with project_lock(Path({str(tmp_path)!r}), 'preparing'): pass"
    code = f"from pathlib import Path\nfrom brainslice.paths import project_lock\n{take}"
    with project_lock(tmp_path, "training"):
        second = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert second.returncode != 0
        assert "is training since" in second.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nested_commands_share_a_lock_and_clear_nothing(tmp_path: Path) -> None:
    @writes_project("training")
    def train(root: Path, extra: int) -> int:
        assert (root / "models" / ".best.tmp-12345678.keras").exists()
        return extra

    with project_lock(tmp_path, "running"):
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / ".best.tmp-12345678.keras").touch()
        assert train(tmp_path, extra=3) == 3
    with project_lock(tmp_path, "running"):
        assert not list((tmp_path / "models").iterdir())
