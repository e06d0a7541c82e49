from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from brainslice.decision.out_of_distribution import OutOfDistributionDetector, fit_ood_detector
from brainslice.errors import BundleError, CalibrationError

FEATURES = 80


def usual(rng: np.random.Generator, scans: int) -> np.ndarray:
    """Features that vary in six directions, and little in all others."""
    directions = np.random.default_rng(99).normal(size=(6, FEATURES))
    return 5.0 + rng.normal(size=(scans, 6)) @ directions + 0.05 * rng.normal(size=(scans, FEATURES))


@pytest.fixture
def gate() -> OutOfDistributionDetector:
    rng = np.random.default_rng(0)
    return fit_ood_detector(usual(rng, 300), usual(rng, 200), 0.02)


@pytest.mark.parametrize("refused", [0.0, 0.02, 0.1])
def test_rejection_rate_of_held_out_scans(refused: float) -> None:
    rng = np.random.default_rng(1)
    held_out = usual(rng, 200)
    gate = fit_ood_detector(usual(rng, 300), held_out, refused)
    strange = (gate.ood_score(held_out) > 1).mean()
    assert refused - 1 / 200 <= strange <= refused


def test_other_directions_are_out_of_distribution(
    gate: OutOfDistributionDetector,
) -> None:
    rng = np.random.default_rng(2)
    same, other = usual(rng, 500), 5.0 + 2.0 * rng.normal(size=(500, FEATURES))
    scores = np.concatenate([gate.ood_score(same), gate.ood_score(other)])
    assert roc_auc_score(np.arange(1000) >= 500, scores) > 0.99
    assert (gate.ood_score(same) > 1).mean() < 0.08
    assert (gate.ood_score(other) > 1).mean() > 0.95


def test_score_is_the_pca_reconstruction_error() -> None:
    rng = np.random.default_rng(3)
    training, fresh = usual(rng, 400), rng.normal(size=(50, FEATURES))
    gate = fit_ood_detector(training, usual(rng, 100), 0.05)

    def of_length_one(features: np.ndarray) -> np.ndarray:
        return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True))

    oracle = PCA(gate.components.shape[1]).fit(of_length_one(training))
    rebuilt = oracle.inverse_transform(oracle.transform(of_length_one(fresh)))
    expected = ((of_length_one(fresh) - rebuilt) ** 2).sum(axis=1)
    np.testing.assert_allclose(gate.ood_score(fresh) * gate.limit, expected, rtol=0.02)


@given(st.floats(0.01, 100.0))
def test_score_does_not_depend_on_feature_scale(scale: float) -> None:
    rng = np.random.default_rng(4)
    gate = fit_ood_detector(usual(rng, 100), usual(rng, 50), 0.02)
    fresh = usual(rng, 20)
    np.testing.assert_allclose(gate.ood_score(fresh * scale), gate.ood_score(fresh), rtol=1e-6)


@pytest.mark.parametrize("scans", [30, 300])
def test_more_features_than_scans(scans: int) -> None:
    rng = np.random.default_rng(5)
    gate = fit_ood_detector(usual(rng, scans), usual(rng, 100), 0.02)
    gram = gate.components.T @ gate.components
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=2e-3)
    assert gate.ood_score(rng.normal(size=(50, FEATURES))).min() > 1


@pytest.mark.parametrize("features", [1, 3])
def test_few_features_accept_their_own_scans(features: int) -> None:
    rng = np.random.default_rng(6)
    gate = fit_ood_detector(rng.random((40, features)), rng.random((20, features)), 0.0)
    assert np.isfinite(gate.ood_score(rng.random((5, features)))).all()


def test_zero_features(gate: OutOfDistributionDetector) -> None:
    assert np.isfinite(gate.ood_score(np.zeros((1, FEATURES)))).all()


def test_saved_detector_has_equal_scores_and_a_small_file(gate: OutOfDistributionDetector, tmp_path: Path) -> None:
    gate.save(tmp_path / "outliers.npz")
    again = OutOfDistributionDetector.read(tmp_path / "outliers.npz", gate.limit)
    fresh = np.random.default_rng(7).normal(size=(20, FEATURES))
    np.testing.assert_array_equal(again.ood_score(fresh), gate.ood_score(fresh))
    assert (tmp_path / "outliers.npz").stat().st_size < 2 * FEATURES * (gate.components.shape[1] + 1) + 1000


@pytest.mark.parametrize("features", [6400, 20_000])
def test_file_of_many_features_is_below_three_megabytes(features: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    gate = fit_ood_detector(
        rng.random((60, features), dtype=np.float32), rng.random((5, features), dtype=np.float32), 0.0
    )
    gate.save(tmp_path / "outliers.npz")
    assert (tmp_path / "outliers.npz").stat().st_size < 3_000_000


@pytest.mark.parametrize("data", [b"", b"no arrays", b"PK\x03\x04" + bytes(60)])
def test_damaged_file_raises(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "outliers.npz").write_bytes(data)
    with pytest.raises(BundleError, match="must hold a detector's centre and directions"):
        OutOfDistributionDetector.read(tmp_path / "outliers.npz", 1.0)


def test_inconsistent_arrays_raise(tmp_path: Path) -> None:
    np.savez(tmp_path / "outliers.npz", centre=np.zeros(4), directions=np.zeros((5, 2)))
    with pytest.raises(BundleError, match="must hold a detector's centre and directions"):
        OutOfDistributionDetector.read(tmp_path / "outliers.npz", 1.0)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "outliers.npz", centre=np.array([{}]), directions=np.zeros((1, 1)))
    with pytest.raises(BundleError, match="must hold"):
        OutOfDistributionDetector.read(tmp_path / "outliers.npz", 1.0)


def test_features_of_another_network_are_refused(gate: OutOfDistributionDetector) -> None:
    with pytest.raises(BundleError, match="needs 80 features, got 81"):
        gate.ood_score(np.zeros((2, FEATURES + 1)))


@pytest.mark.parametrize("refused", [-0.1, 1.0])
def test_invalid_rejection_rate_raises(refused: float) -> None:
    features = usual(np.random.default_rng(0), 10)
    with pytest.raises(CalibrationError, match="share of scans to refuse"):
        fit_ood_detector(features, features, refused)


def test_fitting_without_scans_raises() -> None:
    features = usual(np.random.default_rng(0), 10)
    for training, held_out in ((features[:0], features), (features, features[:0]), (features[:, :0], features[:, :0])):
        with pytest.raises(CalibrationError, match="got none"):
            fit_ood_detector(training, held_out, 0.02)


def test_sizes_that_a_header_only_states_are_not_allocated(gate: OutOfDistributionDetector, tmp_path: Path) -> None:
    path = tmp_path / "outliers.npz"
    gate.save(path)
    data = path.read_bytes()
    # The zip's checksums are looked at only after the arrays have been read.
    path.write_bytes(data.replace(b"'shape': (80,), ", b"'shape':(8" + b"0" * 5 + b",),", 1))
    with pytest.raises(BundleError, match="must hold"):
        OutOfDistributionDetector.read(path, 1.0)
    np.savez_compressed(path, centre=np.zeros(10**6, np.float16), directions=np.zeros((1, 0), np.float16))
    with pytest.raises(BundleError, match="neither compressed nor encrypted"):
        OutOfDistributionDetector.read(path, 1.0)
