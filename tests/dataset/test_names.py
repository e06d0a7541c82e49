from __future__ import annotations

import subprocess
import sys

import pytest

import brainslice.dataset


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prepair'"):
        _ = brainslice.dataset.prepair


def test_reading_manifests_imports_no_image_or_training_library() -> None:
    script = "import sys, brainslice.dataset.splits.split; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout.split()
    assert not {"PIL", "kagglehub", "keras", "tensorflow", "matplotlib", "scipy"} & set(done.stdout.split())
