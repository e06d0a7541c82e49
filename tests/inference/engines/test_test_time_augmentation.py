from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from brainslice.decision.conformal import ConformalSets, fit_conformal
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.test_time_augmentation import (
    VIEWS,
    MultiViewEngine,
    View,
    with_test_time_augmentation,
)
from brainslice.inference.predictor import Predictor

SIZE, CELL = 64, 8


class MeanGrey:
    """Maps that hold the mean grey value of each cell, and its square: local, and the same everywhere."""

    def __init__(self, *, members: bool = False) -> None:
        self.members = members

    def run(self, batch: np.ndarray) -> EngineOutput:
        cells = batch.reshape(len(batch), SIZE // CELL, CELL, SIZE // CELL, CELL).mean(axis=(2, 4), dtype=np.float32)
        maps = np.stack([cells, cells**2 / 255], axis=-1)
        logits = maps.mean(axis=(1, 2))
        members = np.stack([logits - 1, logits + 1], axis=1) if self.members else None
        return EngineOutput(logits, maps, cells.reshape(len(batch), -1), members)


@pytest.fixture(scope="module")
def scans() -> np.ndarray:
    """Smooth pictures with a black frame, as scans are."""
    rng = np.random.default_rng(8)
    rough = gaussian_filter(rng.normal(size=(3, SIZE, SIZE)), (0, 4, 4))
    grey = np.clip(128 + 900 * rough, 0, 255)
    frame = np.zeros((SIZE, SIZE))
    frame[10:-10, 10:-10] = 1
    return np.asarray(grey * frame, np.uint8)


views = st.builds(
    View,
    name=st.just("some"),
    mirrored=st.booleans(),
    zoom=st.floats(0.8, 1.25),
    down=st.floats(-0.1, 0.1),
    right=st.floats(-0.1, 0.1),
)


@given(views)
def test_views_equal_scipy_transforms(view: View) -> None:
    scan = np.random.default_rng(1).integers(0, 256, (1, 24, 30), dtype=np.uint8)
    rows, columns = np.mgrid[:24, :30].astype(float)
    if view.mirrored:
        columns = columns[:, ::-1]
    place = [
        ((grid + 0.5) / size - 0.5 - move) / view.zoom * size + size / 2 - 0.5
        for grid, size, move in ((rows, 24, view.down), (columns, 30, view.right))
    ]
    padded = np.pad(scan[0].astype(float), 1)
    expected = map_coordinates(padded, [place[0] + 1, place[1] + 1], order=1, mode="constant", cval=0.0)
    assert np.abs(view.apply(scan)[0].astype(float) - expected).max() <= 0.5 + 1e-3


@given(views)
def test_mean_of_inverted_maps_is_the_logit(view: View) -> None:
    scan = np.random.default_rng(2).integers(0, 256, (2, SIZE, SIZE), dtype=np.uint8)
    output = MeanGrey().run(view.apply(scan))
    assert view.invert(output).mean(axis=(1, 2)) == pytest.approx(output.logits, abs=1e-2)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_inverted_maps_are_aligned(view: View, scans: np.ndarray) -> None:
    plain = MeanGrey().run(scans)
    restored = view.invert(MeanGrey().run(view.apply(scans)))
    wrong_way = replace(view, mirrored=not view.mirrored).invert(MeanGrey().run(view.apply(scans)))
    for place in range(len(scans)):
        same = np.corrcoef(restored[place, ..., 0].ravel(), plain.class_maps[place, ..., 0].ravel())[0, 1]
        other = np.corrcoef(wrong_way[place, ..., 0].ravel(), plain.class_maps[place, ..., 0].ravel())[0, 1]
        assert same > 0.97
        assert other < same


def test_mirroring_is_exactly_invertible(scans: np.ndarray) -> None:
    view = View("mirrored", mirrored=True)
    assert np.array_equal(view.apply(view.apply(scans)), scans)
    assert view.invert(MeanGrey().run(view.apply(scans))) == pytest.approx(MeanGrey().run(scans).class_maps, abs=1e-3)


def test_output_is_the_mean_over_views(scans: np.ndarray) -> None:
    output = MultiViewEngine(MeanGrey(members=True)).run(scans)
    each = [MeanGrey(members=True).run(view.apply(scans)) for view in VIEWS]
    assert output.logits == pytest.approx(np.mean([one.logits for one in each], axis=0), abs=1e-3)
    assert output.class_maps.mean(axis=(1, 2)) == pytest.approx(output.logits, abs=1e-2)
    assert output.member_logits is not None
    assert output.member_logits.mean(axis=1) == pytest.approx(output.logits, abs=1e-3)
    assert np.array_equal(output.features, each[0].features)


def test_the_first_view_is_the_scan_itself(scans: np.ndarray) -> None:
    assert np.array_equal(VIEWS[0].apply(scans), scans)


def test_views_are_deterministic_and_independent_of_the_batch(scans: np.ndarray) -> None:
    engine: Engine = MultiViewEngine(MeanGrey())
    assert isinstance(engine, Engine)
    assert np.array_equal(engine.run(scans).logits, engine.run(scans).logits)
    assert engine.run(scans[1:2]).logits == pytest.approx(engine.run(scans).logits[1:2], rel=1e-6)


def test_mirrored_scans_have_similar_outputs(scans: np.ndarray) -> None:
    engine = MultiViewEngine(MeanGrey(), (VIEWS[0], View("mirrored", mirrored=True)))
    assert engine.run(scans[..., ::-1].copy()).logits == pytest.approx(engine.run(scans).logits, rel=1e-5)


def test_predictor_with_views_has_no_prediction_sets(predictor: Predictor) -> None:
    rng = np.random.default_rng(0)
    sets: ConformalSets = fit_conformal(rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200))
    before = replace(predictor, verdict_rules=replace(predictor.verdict_rules, conformal_sets=sets))
    many = with_test_time_augmentation(before)
    assert before.verdict_rules.conformal_sets is not None
    assert many.verdict_rules.conformal_sets is None
    assert many.temperature == before.temperature
    scan = np.random.default_rng(5).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    (answer,) = many.predict_inputs(["scan.png"], [scan])
    logits = MultiViewEngine(before.engine).run(scan[np.newaxis]).logits
    assert list(answer.probabilities.values()) == pytest.approx(before.temperature.probabilities(logits)[0].tolist())
    assert answer.coverage is None
