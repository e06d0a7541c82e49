from __future__ import annotations

import subprocess
import sys

import pytest

import brainslice.dataset


def test_every_public_name_can_be_loaded_from_the_room() -> None:
    for name in brainslice.dataset.__all__:
        assert getattr(brainslice.dataset, name) is not None


def test_an_unknown_name_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prepair'"):
        _ = brainslice.dataset.prepair


def test_reading_manifests_loads_no_pictures_and_no_network_library() -> None:
    script = "import sys, brainslice.dataset.splits.split; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout.split()
    assert not {"PIL", "kagglehub", "keras", "tensorflow", "matplotlib", "scipy"} & set(done.stdout.split())
