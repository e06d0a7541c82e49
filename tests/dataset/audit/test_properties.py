from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy.stats import chi2_contingency
from sklearn.model_selection import LeaveOneOut

from brainslice.dataset.audit.properties import (
    FileProperties,
    cramers_v,
    file_properties,
    find_shortcuts,
    guessing_accuracy,
)

COUNTS = arrays.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.integers(0, 9)).filter(
    lambda table: table.sum() > 1
)


def properties(mode: str, size: str = "9 x 9") -> FileProperties:
    return FileProperties(mode, "PNG", ".png", size, "1.00")


def test_properties_come_from_the_header_and_the_name(tmp_path: Path) -> None:
    path = tmp_path / "scan.JPG"
    Image.new("RGB", (30, 20)).save(path, format="PNG")
    assert file_properties(path) == FileProperties("RGB", "PNG", ".jpg", "30 x 20", "1.50")


def test_a_file_that_is_no_picture_has_other_properties(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    assert file_properties(path) == FileProperties("other", "other", ".png", "other", "other")


def test_a_property_that_determines_the_class_is_first_and_predictive() -> None:
    files = [properties("RGB", f"{place} x 9") for place in range(40)]
    files += [properties("L", f"{place} x 9") for place in range(40, 100)]
    found = find_shortcuts(files, ["no_tumor"] * 40 + ["glioma"] * 60)
    assert found[0].name == "mode"
    assert (found[0].accuracy, found[0].majority, found[0].values) == (1.0, 0.6, 2)
    assert found[0].strength == pytest.approx(1.0, abs=0.01)
    assert [each.name for each in found if each.predictive] == ["mode"]


def test_a_property_with_unique_values_is_not_predictive() -> None:
    files = [properties("L", f"{place} x 9") for place in range(90)]
    found = {each.name: each for each in find_shortcuts(files, ["glioma", "pituitary", "no_tumor"] * 30)}
    assert found["size"].values == 90
    assert found["size"].strength == 0
    assert not found["size"].predictive


def test_one_class_has_no_shortcuts() -> None:
    assert find_shortcuts([properties("L")] * 3, ["glioma"] * 3) == ()
    assert find_shortcuts([], []) == ()


@given(COUNTS)
def test_cramers_v_is_symmetric_and_from_0_to_1(table: np.ndarray) -> None:
    assert 0 <= cramers_v(table) <= 1
    assert cramers_v(table) == pytest.approx(cramers_v(table.T))


@given(arrays.arrays(np.int64, (4, 3), elements=st.integers(1, 30)))
def test_cramers_v_is_the_one_of_scipys_chi_square_without_its_bias(table: np.ndarray) -> None:
    total = table.sum()
    square = max(0.0, chi2_contingency(table, correction=False).statistic / total - 3 * 2 / (total - 1))
    oracle = np.sqrt(square / (3 - 2**2 / (total - 1) - 1))
    assert cramers_v(table) == pytest.approx(min(1.0, oracle), abs=1e-9)


def test_cramers_v_of_independent_draws_is_near_0_however_many_values() -> None:
    rng = np.random.default_rng(3)
    table = np.zeros((50, 4), dtype=np.int64)
    np.add.at(table, (rng.integers(0, 50, 2000), rng.integers(0, 4, 2000)), 1)
    assert cramers_v(table) < 0.06


@given(COUNTS)
def test_guessing_accuracy_is_leave_one_out(table: np.ndarray) -> None:
    files = [(value, label) for (value, label), count in np.ndenumerate(table) for _ in range(count)]
    right = 0
    for others, (own,) in LeaveOneOut().split(files):
        everyone = np.bincount([files[place][1] for place in others], minlength=table.shape[1])
        alike = np.bincount(
            [files[place][1] for place in others if files[place][0] == files[own][0]], minlength=table.shape[1]
        )
        right += files[own][1] == int(np.argmax(alike * len(files) + everyone / 2))
    assert guessing_accuracy(table) == pytest.approx(right / len(files))
