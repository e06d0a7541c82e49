from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brainslice.errors import BundleError
from brainslice.inference import default_bundle
from brainslice.inference.default_bundle import open_bundle_or_default
from brainslice.inference.predictor import Predictor


@pytest.fixture
def shipped(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that lies where the one that ships is looked for."""
    folder = Path(shutil.copytree(bundle, tmp_path / "default_bundle"))
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", folder)
    return folder


def test_project_bundle_takes_precedence(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert open_bundle_or_default(project) == open_bundle_or_default() == shipped
    (project / "models" / "bundle").mkdir(parents=True)
    assert open_bundle_or_default(project) == project / "models" / "bundle"


def test_default_predictor_is_the_shipped_bundle(shipped: Path) -> None:
    assert Predictor.open().bundle.folder == shipped


def test_shipped_bundle_is_verified(shipped: Path) -> None:
    graph = shipped / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="sha256 must be"):
        Predictor.open()


def test_missing_shipped_bundle_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", tmp_path / "none")
    with pytest.raises(BundleError, match=r"^no bundle ships with this installation; train one, or give one"):
        open_bundle_or_default()
    with pytest.raises(BundleError, match=r"project.models.bundle: there is no such bundle, and no bundle ships"):
        open_bundle_or_default(tmp_path / "project")


def test_shipped_bundle_is_inside_the_package() -> None:
    import brainslice

    assert Path(brainslice.__file__).parent / "default_bundle" == default_bundle.DEFAULT_BUNDLE
