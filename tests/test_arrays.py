"""Annotated array shapes are checked at run time under test."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest

from brainslice.decision.temperature import Temperature, fit_temperature


def test_a_wrong_number_of_dimensions_is_refused() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        Temperature(1.0).probabilities(np.zeros(4))


def test_a_wrong_kind_of_number_is_refused() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        Temperature(1.0).probabilities(np.zeros((3, 4), dtype=np.int64))


def test_dimensions_of_one_name_must_agree_between_arguments() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        fit_temperature(np.zeros((5, 4)), np.zeros(6, dtype=np.int64))


def test_arrays_of_the_annotated_shape_pass() -> None:
    assert Temperature(1.0).probabilities(np.zeros((3, 4))).shape == (3, 4)
