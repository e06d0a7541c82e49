from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.decision.verdict import Reason, Verdict
from brainslice.errors import DatasetError, UsageError
from brainslice.inference.prediction import Prediction, Refusal, format_percent
from brainslice.labels import LabelSet

LABELS = LabelSet()


def prediction(*probabilities: float, threshold: float = 0.5) -> Prediction:
    evidence = np.zeros((2, 2, 4), dtype=np.float32)
    for place in range(4):
        evidence[place // 2, place % 2, place] = 1.0
    return Prediction(
        source="scan.png",
        labels=LABELS,
        probabilities=dict(zip(LABELS.names, probabilities, strict=True)),
        threshold=threshold,
        warnings=("phantom",),
        bundle="ab" * 32,
        network_input=np.zeros((8, 8), dtype=np.uint8),
        class_maps=evidence,
        verdict=Verdict.REFER,
        reasons=(Reason.UNDECIDED,),
        prediction_set=("meningioma", "no_tumor"),
        coverage=0.9,
        ood_score=0.5,
    )


def test_the_most_probable_class_is_predicted() -> None:
    assert prediction(0.1, 0.6, 0.2, 0.1).predicted_class == "meningioma"


def test_tumour_while_healthy_is_the_most_probable_class() -> None:
    answer = prediction(0.3, 0.2, 0.4, 0.1)
    assert answer.predicted_class == "no_tumor"
    assert answer.tumour_probability == pytest.approx(0.6)
    assert answer.tumour


def test_threshold_is_inclusive() -> None:
    assert prediction(0.25, 0.25, 0.5, 0.0, threshold=0.5).tumour
    assert not prediction(0.25, 0.25, 0.5, 0.0, threshold=math.nextafter(0.5, 1)).tumour


@pytest.mark.parametrize("probabilities", [(0.5, 0.5, 0.5, 0.5), (0.2, 0.2, 0.2, 0.2), (math.nan, 0.0, 0.0, 1.0)])
def test_invalid_probabilities_raise(probabilities: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        prediction(*probabilities)


def test_classes_in_another_order_are_refused() -> None:
    with pytest.raises(UsageError, match="probabilities must be of"):
        Prediction(
            source="scan.png",
            labels=LABELS,
            probabilities=dict(zip(reversed(LABELS.names), (0.7, 0.1, 0.1, 0.1), strict=True)),
            threshold=0.5,
            warnings=(),
            bundle="0" * 64,
            network_input=np.zeros((8, 8), dtype=np.uint8),
            class_maps=np.zeros((2, 2, 4), dtype=np.float32),
            verdict=Verdict.TUMOUR,
        )


def test_heat_map_of_predicted_and_other_classes() -> None:
    answer = prediction(0.1, 0.6, 0.2, 0.1)
    np.testing.assert_array_equal(answer.heat_map(), answer.heat_map("meningioma"))
    quarters = {"glioma": (0, 0), "meningioma": (0, 7), "no_tumor": (7, 0), "pituitary": (7, 7)}
    for name, corner in quarters.items():
        heat = answer.heat_map(name)
        assert heat.shape == answer.network_input.shape
        assert heat[corner] == heat.max() == 1.0


def test_heat_map_of_an_unknown_class_raises() -> None:
    with pytest.raises(DatasetError, match="got 'schwannoma'"):
        prediction(1.0, 0.0, 0.0, 0.0).heat_map("schwannoma")


def test_prediction_to_json() -> None:
    told = json.loads(json.dumps(prediction(0.1, 0.6, 0.2, 0.1).to_json(), allow_nan=False))
    assert told == {
        "source": "scan.png",
        "class": "meningioma",
        "probabilities": {"glioma": 0.1, "meningioma": 0.6, "no_tumor": 0.2, "pituitary": 0.1},
        "tumour_probability": 0.8,
        "threshold": 0.5,
        "tumour": True,
        "verdict": "refer",
        "reasons": [{"code": "undecided", "message": Reason.UNDECIDED.message}],
        "prediction_set": ["meningioma", "no_tumor"],
        "coverage": 0.9,
        "ood_score": 0.5,
        "entropy": pytest.approx(1.08890, abs=1e-5),
        "mutual_information": None,
        "warnings": ["phantom"],
        "remarks": [],
        "bundle": "ab" * 32,
    }
    assert list(told["probabilities"]) == list(LABELS.names)


def test_refusal_to_json() -> None:
    assert Refusal("x.png", "x.png: empty").to_json() == {"source": "x.png", "refused": "x.png: empty"}


@given(st.floats(0, 1))
def test_percentages_have_two_digits_and_are_never_0_or_100(probability: float) -> None:
    text = format_percent(probability)
    assert text not in {"100 %", "0 %"}
    number = int(text.removesuffix(" %").lstrip("<> "))
    assert 1 <= number <= 99
    assert number == pytest.approx(100 * probability, abs=1.01)


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (1.0, "> 99 %"),
        (0.996, "> 99 %"),
        (0.99, "99 %"),
        (0.5, "50 %"),
        (0.01, "1 %"),
        (0.004, "< 1 %"),
        (0.0, "< 1 %"),
    ],
)
def test_percentages_read_as_expected(probability: float, text: str) -> None:
    assert format_percent(probability) == text
