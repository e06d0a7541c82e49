from __future__ import annotations

import shutil
from pathlib import Path

import kagglehub
import pytest

from brainslice.dataset.manifest import Manifest
from brainslice.paths import ProjectPaths
from command import call
from stand_in import config, write_bundle_for

Capture = pytest.CaptureFixture[str]


def test_original_download_and_prepare(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kagglehub, "dataset_download", lambda _: str(project / "source"))
    root = tmp_path / "other"
    assert call("original-download-and-prepare", "--project-root", root, "--val-size", "0.3", "--use-symlinks") == 0
    assert (root / "downloads" / "nickparvar").exists()
    manifest = Manifest.read(root / "data")
    assert {record.split for record in manifest.records} == {"train", "val", "test"}


def test_original_prepare_with_a_source(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(kagglehub, "dataset_download")
    root = tmp_path / "other"
    words = ("--project-root", root, "--source", project / "source", "--copy")
    assert call("original-download-and-prepare", *words) == 0
    assert not any(path.is_symlink() for path in Manifest.read(root / "data").paths)


def test_original_external_download(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "sites"
    shutil.copytree(project / "source" / "Training" / "glioma", other / "yes")
    shutil.copytree(project / "source" / "Training" / "notumor", other / "no")
    assert call("original-download-external", "--project-root", tmp_path, "--source", other) == 0
    assert (tmp_path / "data" / "external_navoneel" / "no").is_dir()


def test_original_infer(project: Path, capsys: Capture) -> None:
    write_bundle_for(ProjectPaths.of(project, config()), config())
    scans = sorted((project / "source" / "Testing" / "pituitary").iterdir())[:2]
    words = [word for scan in scans for word in ("--image", scan)]
    assert call("original-infer", *words, "--project-root", project, "--threshold", "0.65", "--gradcam") == 0
    assert capsys.readouterr().out.count("P(tumour)") == 2
    assert len(list((project / "reports" / "gradcam").iterdir())) == 2
