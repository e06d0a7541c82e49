from __future__ import annotations

import numpy as np
import pytest

from brainslice.errors import BundleError
from brainslice.infer.engine import EngineOutput


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["logits", "class_maps"])
def test_an_answer_that_is_no_number_is_refused(number: float, where: str) -> None:
    arrays = {"logits": np.zeros((1, 4)), "class_maps": np.zeros((1, 2, 2, 4))}
    arrays[where].flat[-1] = number
    with pytest.raises(BundleError, match="must answer in finite numbers"):
        EngineOutput(**arrays)


def test_an_answer_about_nothing_is_an_answer() -> None:
    output = EngineOutput(logits=np.zeros((0, 4)), class_maps=np.zeros((0, 2, 2, 4)))
    assert len(output.logits) == 0
