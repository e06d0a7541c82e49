from __future__ import annotations

import numpy as np
import pytest

from brainslice.errors import BundleError
from brainslice.inference.engines.engine import EngineOutput


def output_of(rng: np.random.Generator, scans: int, members: int = 0) -> EngineOutput:
    logits = rng.normal(size=(scans, members or 1, 4))
    return EngineOutput(
        logits=logits.mean(axis=1),
        class_maps=rng.normal(size=(scans, 2, 2, 4)),
        features=rng.normal(size=(scans, 6)),
        member_logits=logits if members else None,
    )


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["logits", "class_maps", "features", "member_logits"])
def test_nan_outputs_raise(number: float, where: str) -> None:
    arrays = {
        "logits": np.zeros((1, 4)),
        "class_maps": np.zeros((1, 2, 2, 4)),
        "features": np.zeros((1, 6)),
        "member_logits": np.zeros((1, 3, 4)),
    }
    arrays[where].flat[-1] = number
    with pytest.raises(BundleError, match="must be finite numbers"):
        EngineOutput(**arrays)


def test_empty_output() -> None:
    output = EngineOutput(logits=np.zeros((0, 4)), class_maps=np.zeros((0, 2, 2, 4)), features=np.zeros((0, 6)))
    assert len(output.logits) == 0


@pytest.mark.parametrize("members", [0, 3])
def test_join_concatenates_in_order(members: int) -> None:
    rng = np.random.default_rng(0)
    parts = [output_of(rng, scans, members) for scans in (2, 1, 4)]
    joined = EngineOutput.join(parts)
    for name in ("logits", "class_maps", "features"):
        np.testing.assert_array_equal(getattr(joined, name), np.concatenate([getattr(part, name) for part in parts]))
    if members:
        np.testing.assert_array_equal(joined.member_logits[2], parts[1].member_logits[0])
    else:
        assert joined.member_logits is None
