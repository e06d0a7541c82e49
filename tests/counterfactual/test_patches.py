from __future__ import annotations

import numpy as np
import pytest

from brainslice.counterfactual import (
    Patch,
    Pictures,
    feathered,
    find_lesion,
    find_tissue,
    lies_on_head,
    paste,
    rim,
    widened,
)
from drawn_heads import SIZE, symmetric_head, with_lesion

HEADS = [symmetric_head(patient) for patient in range(3)]
TARGET, REGION = with_lesion(HEADS[0])
NOWHERE = np.zeros((SIZE, SIZE), np.bool_)


def pictures(lesions: list[np.ndarray]) -> Pictures:
    return Pictures(np.stack(HEADS), np.stack(lesions))


def test_the_rim_surrounds_a_region_at_a_distance() -> None:
    ring = rim(REGION)
    assert ring.any()
    assert not (ring & widened(REGION, 4)).any()
    assert not (ring & ~widened(REGION, 10)).any()


def test_a_region_in_the_air_does_not_lie_on_the_head() -> None:
    assert lies_on_head(TARGET, REGION)
    assert not lies_on_head(TARGET, with_lesion(TARGET, row=10, column=10)[1])
    assert not lies_on_head(TARGET, NOWHERE)


def test_tissue_comes_from_the_head_that_fits_best() -> None:
    patch = find_tissue(TARGET, REGION, pictures([NOWHERE] * 3))
    assert patch is not None
    assert patch.source == 0
    assert patch.fit == pytest.approx(1.0)
    assert np.abs(paste(TARGET, patch).astype(int) - HEADS[0])[REGION].mean() < 3


def test_tissue_never_holds_a_lesion() -> None:
    lesion = with_lesion(HEADS[0], radius=16)[1]
    patch = find_tissue(TARGET, REGION, pictures([lesion | lesion[:, ::-1], NOWHERE, NOWHERE]))
    assert patch is not None
    assert patch.source != 0
    assert find_tissue(TARGET, REGION, pictures([lesion | lesion[:, ::-1]] * 3)) is None


def test_a_lesion_is_mirrored_where_asked() -> None:
    donors = pictures([NOWHERE, REGION, NOWHERE])
    patch = find_lesion(TARGET, donors, np.array([False, True, False]))
    assert patch is not None
    assert np.array_equal(patch.region, REGION[:, ::-1])
    assert np.array_equal(patch.picture, HEADS[1][:, ::-1])
    assert find_lesion(TARGET, pictures([NOWHERE] * 3), np.zeros(3, np.bool_)) is None


def test_pasting_changes_nothing_outside_the_feather_and_matches_the_rim() -> None:
    darker = (HEADS[1] * 0.6).astype(np.uint8)
    pasted = paste(HEADS[1], Patch(0, darker, REGION, 1.0))
    assert not ((pasted != HEADS[1]) & (feathered(REGION) == 0)).any()
    assert abs(float(pasted[REGION].mean()) - float(HEADS[1][REGION].mean())) < 6
