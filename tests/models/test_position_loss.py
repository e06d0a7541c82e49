from __future__ import annotations

import numpy as np
import pytest

from brainslice.models.augmentation import with_positions
from brainslice.models.losses import PositionLoss, one_hot

HEALTHY, CLASSES = 2, 4
RNG = np.random.default_rng(6)
MAPS = RNG.normal(0, 2, (6, 3, 5, CLASSES)).astype(np.float32)
COVERAGE = np.where(RNG.random((6, 3, 5)) < 0.5, RNG.random((6, 3, 5)), 0.0).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 0, 1])


def targets(known: list[int]) -> np.ndarray:
    return np.concatenate([one_hot(LABELS, CLASSES), np.array(known, np.float32)[:, np.newaxis]], axis=1)


def losses(coverage: np.ndarray = COVERAGE, known: tuple[int, ...] = (1,) * 6, maps: np.ndarray = MAPS) -> np.ndarray:
    positions = np.concatenate([maps, coverage[..., np.newaxis]], axis=-1)
    return np.asarray(PositionLoss(HEALTHY).call(targets(list(known)), positions))


def by_loop(maps: np.ndarray, coverage: np.ndarray, label: int) -> float:
    inside = outside = 0.0
    area = float(coverage.sum())
    for row in range(maps.shape[0]):
        for column in range(maps.shape[1]):
            scores = maps[row, column].astype(float)
            logs = scores - np.log(np.exp(scores).sum())
            share = float(coverage[row, column])
            loss = -(share * logs[label] + (1 - share) * logs[HEALTHY])
            inside += share * loss
            outside += (1 - share) * loss
    cells = coverage.size
    if area == 0:
        return outside / cells
    return 0.5 * inside / max(area, 0.5) + 0.5 * outside / max(cells - area, 0.5)


def test_it_equals_a_loop_over_positions() -> None:
    expected = [by_loop(*each) for each in zip(MAPS, COVERAGE, LABELS, strict=True)]
    np.testing.assert_allclose(losses(), expected, rtol=1e-5)


def test_a_scan_whose_outline_is_unknown_counts_nothing() -> None:
    found = losses(known=(1, 0, 1, 0, 1, 0))
    assert (found > 0).tolist() == [True, False] * 3
    assert not found[1::2].any()


def test_without_a_lesion_all_positions_share_the_weight() -> None:
    logs = MAPS - np.log(np.exp(MAPS).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(losses(np.zeros_like(COVERAGE)), -logs[..., HEALTHY].mean(axis=(1, 2)), rtol=1e-5)


def test_a_lesion_in_one_cell_weighs_as_much_as_all_other_cells() -> None:
    coverage = np.zeros_like(COVERAGE)
    coverage[:, 1, 1] = 1.0
    flat = np.zeros_like(MAPS)
    wrong = flat.copy()
    wrong[:, 1, 1, HEALTHY] = 5.0
    assert losses(coverage, maps=flat) == pytest.approx(np.log(CLASSES), rel=1e-5)
    excess = losses(coverage, maps=wrong) - np.log(CLASSES)
    cell = np.log(np.exp(5.0) + 3) - np.log(CLASSES)
    tumours = LABELS != HEALTHY
    np.testing.assert_allclose(excess[tumours], 0.5 * cell, rtol=1e-4)


def test_it_is_made_again_from_its_configuration() -> None:
    assert PositionLoss.from_config(PositionLoss(1).get_config()).healthy == 1


def test_coverage_is_averaged_to_the_resolution_of_the_class_maps() -> None:
    fine = np.kron(COVERAGE, np.ones((1, 4, 4)))[..., np.newaxis].astype(np.float32)
    found = with_positions({"logits": MAPS[:, 0, 0], "class_maps": MAPS}, fine)["positions"]
    np.testing.assert_allclose(found, np.concatenate([MAPS, COVERAGE[..., np.newaxis]], axis=-1), atol=1e-6)
