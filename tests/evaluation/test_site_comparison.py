from __future__ import annotations

import json

import numpy as np

from brainslice.evaluation.site_comparison import Method, compare_methods

TUMOURS = np.array([True, True, True, False, False, False])
GROUPS = np.arange(6)


def test_each_is_scored_and_tested_against_the_first() -> None:
    chances = np.array([0.9, 0.4, 0.8, 0.1, 0.6, 0.2])
    poor = Method("poor", chances, chances >= 0.5, "as it is")
    good = Method("good", chances, TUMOURS.copy(), "knows", 0.75)
    first, second = compare_methods(TUMOURS, GROUPS, [poor, good])
    assert first.against_first is None
    assert second.against_first is not None
    assert (second.against_first.only_first, second.against_first.only_second) == (0, 2)
    assert (first.scores.false_negatives, first.scores.false_positives) == (1, 1)
    told = json.loads(json.dumps(second.to_json(), allow_nan=False))
    assert (told["name"], told["source_macro_f1"], told["false_negatives"]) == ("good", 0.75, 0)
