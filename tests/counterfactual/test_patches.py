from __future__ import annotations

import numpy as np
import pytest

from brainslice.counterfactual.mirror import feathered, widened
from brainslice.counterfactual.patches import (
    Patch,
    Pictures,
    change_contrast,
    find_lesion,
    find_tissue,
    lies_on_head,
    paste,
    rim,
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


@pytest.mark.parametrize(("factor", "sign"), [(1.0, 1), (0.4, 1), (-0.8, -1)])
def test_contrast_of_a_lesion_is_scaled_against_its_rim(factor: float, sign: int) -> None:
    changed = change_contrast(TARGET, REGION, factor).astype(int)
    level, inside = TARGET[rim(REGION)].mean(), np.abs(TARGET.astype(int) - HEADS[0])[REGION].mean()
    before, after = TARGET[REGION].mean() - level, changed[REGION].mean() - level
    assert inside > 0
    assert np.sign(after) == sign * np.sign(before)
    assert abs(after) <= abs(before)
    assert np.array_equal(changed[~widened(REGION, 12)], TARGET[~widened(REGION, 12)])
    assert factor != 1 or np.array_equal(changed, TARGET)


def test_a_lesion_without_a_rim_on_the_head_stays() -> None:
    air = np.zeros_like(TARGET)
    assert np.array_equal(change_contrast(air, REGION, -1.0), air)
