from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from brainslice.decision.mc_dropout import HEAD_FILE, LinearHead
from brainslice.errors import BundleError, UsageError

DRAWS = 4000


def make_head(features: int = 12, classes: int = 3, rate: float = 0.3, seed: int = 0) -> LinearHead:
    rng = np.random.default_rng(seed)
    return LinearHead(
        kernel=rng.normal(size=(features, classes)).astype(np.float32),
        bias=rng.normal(size=classes).astype(np.float32),
        rate=np.full(features, rate, np.float32),
    )


def some_features(scans: int = 5, features: int = 12) -> np.ndarray:
    return np.random.default_rng(9).gamma(2.0, size=(scans, features)).astype(np.float32)


def test_mean_and_variance_equal_inverted_dropout() -> None:
    head, features = make_head(), some_features()
    drawn = head.draw(features, DRAWS)
    # Var(mask) = p / (1 - p) for a mask of 0 or 1 / (1 - p), independent over features.
    variance = (features**2) @ (head.kernel**2) * 0.3 / 0.7
    assert drawn.mean(axis=1) == pytest.approx(head.logits(features), abs=5 * float(np.sqrt(variance.max() / DRAWS)))
    assert drawn.var(axis=1) == pytest.approx(variance, rel=0.12)


def test_features_are_kept_at_the_dropout_rate() -> None:
    head = LinearHead(np.ones((1, 2), np.float32), np.zeros(2, np.float32), np.full(1, 0.25, np.float32))
    drawn = head.draw(np.ones((1, 1), np.float32), DRAWS)[0, :, 0]
    assert set(np.round(np.unique(drawn), 5)) == {0.0, np.round(np.float32(1 / 0.75), 5)}
    low, high = binom.interval(0.9999, DRAWS, 0.75)
    assert low <= (drawn > 0).sum() <= high


def test_draws_are_distributed_like_explicit_masks() -> None:
    head, features = make_head(features=40), some_features(1, 40)
    rng = np.random.default_rng(77)
    slow = [(features[0] * (rng.random(40) >= 0.3) / 0.7) @ head.kernel[:, 0] + head.bias[0] for _ in range(DRAWS)]
    assert kstest(head.draw(features, DRAWS)[0, :, 0], slow).pvalue > 0.001


@given(st.integers(0, 2**31), st.integers(1, 20))
def test_draws_depend_on_the_seed_only(seed: int, draws: int) -> None:
    head, features = make_head(), some_features()
    together = head.draw(features, draws, seed)
    assert head.draw(features[2:3], draws, seed) == pytest.approx(together[2:3], abs=1e-4)
    assert np.array_equal(head.draw(features, draws, seed), together)


def test_another_seed_gives_other_draws() -> None:
    head, features = make_head(), some_features()
    assert not np.allclose(head.draw(features, 10, 0), head.draw(features, 10, 1))


def test_draws_at_rate_zero_equal_the_logits() -> None:
    head, features = make_head(rate=0.0), some_features()
    drawn = head.draw(features, 7)
    assert drawn.shape == (5, 7, 3)
    assert drawn == pytest.approx(np.repeat(head.logits(features)[:, np.newaxis], 7, axis=1), abs=1e-5)


def test_save_and_read(tmp_path: Path) -> None:
    head = make_head()
    head.save(tmp_path / HEAD_FILE)
    again = LinearHead.read(tmp_path / HEAD_FILE)
    assert np.array_equal(again.kernel, head.kernel)
    assert np.array_equal(again.bias, head.bias)
    assert np.array_equal(again.rate, head.rate)


@pytest.mark.parametrize("spoil", ["absent", "cut", "other"])
def test_invalid_head_file_raises(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / HEAD_FILE
    if spoil == "cut":
        make_head().save(path)
        path.write_bytes(path.read_bytes()[:200])
    elif spoil == "other":
        with path.open("wb") as stream:
            np.savez(stream, kernel=np.ones((2, 3), np.float32))
    with pytest.raises(BundleError, match=r"head\.npz: must hold a head's kernel"):
        LinearHead.read(path)


def test_inconsistent_arrays_raise() -> None:
    with pytest.raises(UsageError, match="dropout rates must be in"):
        make_head(rate=1.0)
    with pytest.raises(UsageError, match="must be finite"):
        LinearHead(np.full((2, 2), np.nan, np.float32), np.zeros(2, np.float32), np.zeros(2, np.float32))


@pytest.mark.parametrize(("draws", "features"), [(0, 12), (5, 11)])
def test_invalid_draws_raise(draws: int, features: int) -> None:
    with pytest.raises(UsageError, match=r"at least 1 draw and features \(n, 12\)"):
        make_head().draw(np.ones((1, features), np.float32), draws)
