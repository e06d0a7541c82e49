from __future__ import annotations

import sys

import pytest

import brainslice
from brainslice.errors import MissingExtraError
from brainslice.lazy import is_installed, lazy_names, require_extra


def test_dir_lists_the_public_names_and_every_one_of_them_loads() -> None:
    assert set(dir(brainslice)) == set(brainslice.__all__)
    assert all(getattr(brainslice, name) is not None for name in brainslice.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    load = lazy_names("brainslice")
    assert load("LabelSet") is brainslice.LabelSet
    for name in ("Label", "__path_of_nothing__"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            load(name)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert not is_installed("highdicom")
    assert not is_installed("no_such_package.module")
    require_extra("dicom-out", "this", "numpy")
    with pytest.raises(MissingExtraError, match=r"this needs highdicom; install with: pip install 'brainslice\[dicom"):
        require_extra("dicom-out", "this", "numpy", "highdicom")
