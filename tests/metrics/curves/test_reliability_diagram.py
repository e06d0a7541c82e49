from __future__ import annotations

import numpy as np

from brainslice.labels import LabelSet
from brainslice.metrics.curves.reliability_diagram import reliability_of
from brainslice.metrics.intervals.bins import accuracy_in_bins
from brainslice.metrics.intervals.bootstrap import resample
from brainslice.metrics.scoring import ScoringInputs


def judged() -> ScoringInputs:
    rng = np.random.default_rng(0)
    groups = np.arange(90) // 3
    return ScoringInputs(
        rng.integers(4, size=90), rng.dirichlet(np.ones(4), size=90), groups, LabelSet(), resample(groups, 0, draws=10)
    )


def test_each_bin_has_the_interval_of_its_accuracy() -> None:
    subject = judged()
    expected = accuracy_in_bins(subject.probabilities, subject.labels, subject.groups, 8)
    assert reliability_of(subject, 8).accuracy == expected


def test_bins_without_scans_have_neither_accuracy_nor_confidence() -> None:
    told = reliability_of(judged()).to_json()
    columns = (told["counts"], told["accuracy"], told["confidence"], told["accuracy_intervals"])
    for count, *means in zip(*columns, strict=True):
        assert all((mean is None) == (count == 0) for mean in means)
    assert sum(told["counts"]) == 90
    assert told["counts"][0] == 0


def test_the_confidence_of_a_bin_lies_within_it() -> None:
    for place, confidence in enumerate(reliability_of(judged()).to_json()["confidence"]):
        assert confidence is None or place / 15 <= confidence <= (place + 1) / 15
