from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import brainslice
from brainslice import lazy
from brainslice.errors import MissingExtraError


@pytest.mark.parametrize(
    ("purpose", "call"),
    [
        ("importing a Keras file", lambda folder: brainslice.import_keras(folder / "own.keras", ["a", "b"], folder)),
        ("the export to TensorFlow Lite", lambda folder: brainslice.export_tflite(folder / "model.tflite", folder)),
    ],
)
def test_without_the_training_libraries_the_extra_is_named(
    purpose: str, call: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy, "is_installed", lambda module: module != "tensorflow")
    with pytest.raises(MissingExtraError) as caught:
        call(tmp_path)
    assert str(caught.value) == f"{purpose} needs tensorflow; install with: pip install 'brainslice[train]'"
    assert list(tmp_path.iterdir()) == []
