from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import brainslice
from brainslice.errors import MissingExtraError
from brainslice.lazy import is_installed, lazy_names, require_extra


def test_dir_lists_the_public_names_and_every_one_of_them_loads() -> None:
    assert set(dir(brainslice)) == set(brainslice.__all__)
    assert all(getattr(brainslice, name) is not None for name in brainslice.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    load = lazy_names("brainslice", {"labels": "LabelSet"})
    assert load("LabelSet") is brainslice.LabelSet
    with pytest.raises(AttributeError, match="has no attribute 'Label'"):
        load("Label")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert not is_installed("highdicom")
    assert not is_installed("no_such_package.module")
    require_extra("dicom-out", "this", "numpy")
    with pytest.raises(MissingExtraError, match=r"this needs highdicom; install with: pip install 'brainslice\[dicom"):
        require_extra("dicom-out", "this", "numpy", "highdicom")


def test_every_public_name_of_a_package_is_defined_in_its_module() -> None:
    packages = 0
    for init in Path(brainslice.__file__).parent.rglob("__init__.py"):
        found = re.search(r"^_MODULES = (\{.*?^\})$", init.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        for module, names in ast.literal_eval(found[1]).items() if found else ():
            text = init.parent.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
            for name in names.split():
                assert re.search(rf"^(def |class |async def )?{name}\b", text, re.MULTILINE), (init, module, name)
        packages += found is not None
    assert packages > 10
