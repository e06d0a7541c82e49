from __future__ import annotations

from pathlib import Path

import kagglehub
import pytest

import brainslice
from brainslice.dataset.manifest import Manifest
from brainslice.phantom import write_external_site
from stand_in import FOLDS, copy_project


def test_prepare_and_audit_take_strings(trained: Path, tmp_path: Path) -> None:
    prepared = brainslice.prepare(str(trained / "source"), str(tmp_path), config={"data.folds": FOLDS}, copy=True)
    assert len(prepared.manifest.records) > 0
    assert brainslice.audit(str(trained / "source")).summary_lines()


def test_download_links_the_fetched_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fetched").mkdir()
    monkeypatch.setattr(kagglehub, "dataset_download", lambda _: str(tmp_path / "fetched"))
    assert brainslice.download("navoneel", str(tmp_path)) == tmp_path / "downloads" / "navoneel"


def test_another_site_is_prepared_and_its_scans_are_excluded(trained: Path, tmp_path: Path) -> None:
    root = copy_project(trained, tmp_path / "project")
    write_external_site(tmp_path / "clinic", heads_per_kind=6, slices=1, seed=4)
    found = brainslice.prepare_external(str(tmp_path / "clinic"), str(root))
    assert (found.tumours, found.healthy) == (6, 6)
    manifest = brainslice.exclude_overlap(str(found.folder), str(root), config={"data.folds": FOLDS})
    assert manifest.exclusion is not None
    assert Manifest.read(root / "data").exclusion == manifest.exclusion
