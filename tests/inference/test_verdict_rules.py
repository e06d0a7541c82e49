from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainslice.decision.conformal import ConformalSets, SetMethod
from brainslice.decision.operating_point import Criterion, MeasuredOn, MeasuredRate, OperatingPoint
from brainslice.decision.out_of_distribution import OutOfDistributionDetector
from brainslice.decision.temperature import Temperature
from brainslice.decision.verdict import Reason, Verdict
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.verdict_rules import Decision, VerdictRules, grey_zone
from brainslice.labels import LabelSet

LABELS = LabelSet()
SIZE = 32
AWAY = np.hypot(*(2 * np.mgrid[:SIZE, :SIZE] - SIZE + 1) / SIZE)
HEAD = np.where(AWAY < 0.95, 150, 0).astype(np.uint8)
GATE = OutOfDistributionDetector(np.zeros(2, np.float32), np.array([[1.0], [0.0]], np.float32), 0.25)
SETS = ConformalSets(SetMethod.LAC, 0.9, (0.5,) * 4, (50,) * 4, (50,) * 4)


def output_of(*probabilities: tuple[float, ...], features: tuple[float, float] = (1.0, 0.0)) -> EngineOutput:
    logits = np.log(np.array(probabilities))
    maps = np.repeat(np.repeat(logits[:, None, None], 2, axis=1), 2, axis=2)
    return EngineOutput(logits=logits, class_maps=maps, features=np.array([features] * len(logits)))


def judged(safeguards: VerdictRules, output: EngineOutput, picture: np.ndarray = HEAD, at: float = 0.5) -> Decision:
    (found,) = safeguards.decide(output, [picture], Temperature(1.0), at)
    return found


def point(criterion: Criterion, threshold: float) -> OperatingPoint:
    rate = MeasuredRate(0.9, 0.8, 1.0, 0.95, 50, 10, "exact")
    return OperatingPoint(
        name=f"{criterion.name.lower()}-{threshold:g}",
        threshold=threshold,
        criterion=criterion,
        value=0.9,
        prevalence=None,
        promise="as often as said",
        sensitivity=rate,
        specificity=rate,
        n=50,
        groups=10,
        measured_on=MeasuredOn.TUNING,
        tuned_on="drawn scans",
    )


def test_verdict_without_rules() -> None:
    for chance, verdict in ((0.6, Verdict.TUMOUR), (0.4, Verdict.NO_TUMOUR)):
        found = judged(VerdictRules(LABELS), output_of((chance, 0.0001, 1 - chance, 0.0001)), np.zeros_like(HEAD))
        assert found == Decision(verdict, (), (), None, None, None)


def test_confident_scans_get_a_verdict() -> None:
    found = judged(VerdictRules(LABELS, SETS, GATE), output_of((0.9, 0.04, 0.03, 0.03)))
    assert (found.verdict, found.reasons) == (Verdict.TUMOUR, ())
    assert (found.prediction_set, found.coverage) == (("glioma",), 0.9)
    assert found.ood_score == pytest.approx(0)


def test_ambiguous_prediction_set_refers() -> None:
    sets = ConformalSets(SetMethod.LAC, 0.9, (0.7,) * 4, (50,) * 4, (50,) * 4)
    found = judged(VerdictRules(LABELS, sets), output_of((0.5, 0.05, 0.4, 0.05)))
    assert found.prediction_set == ("glioma", "no_tumor")
    assert (found.verdict, found.reasons) == (Verdict.REFER, (Reason.UNDECIDED,))


def test_out_of_distribution_features_refer() -> None:
    found = judged(VerdictRules(LABELS, SETS, GATE), output_of((0.97, 0.01, 0.01, 0.01), features=(0.6, 0.8)))
    assert found.ood_score == pytest.approx(0.64 / 0.25)
    assert (found.verdict, found.reasons) == (Verdict.REFER, (Reason.OUT_OF_DISTRIBUTION,))


def test_image_faults_refer_with_a_detector() -> None:
    found = judged(VerdictRules(LABELS, ood_detector=GATE), output_of((0.97, 0.01, 0.01, 0.01)), np.zeros_like(HEAD))
    assert found.verdict is Verdict.REFER
    assert found.reasons[0] is Reason.FLAT


@pytest.mark.parametrize(
    ("members", "refers"),
    [((0.9, 0.9, 0.9, 0.9, 0.1), False), ((0.9, 0.9, 0.9, 0.1, 0.1), True), ((0.9, 0.1), True), ((0.9, 0.8), False)],
)
def test_disagreement_of_a_third_refers(members: tuple[float, ...], *, refers: bool) -> None:
    rows = np.log(np.array([[each - 0.002, 0.001, 1 - each, 0.001] for each in members]))
    output = replace(output_of((0.9, 0.04, 0.03, 0.03)), logits=rows.mean(axis=0)[None], member_logits=rows[None])
    found = judged(VerdictRules(LABELS), output)
    assert (Reason.DISAGREEMENT in found.reasons) == refers
    assert found.mutual_information is not None
    assert (found.mutual_information > 0.05) == (min(members) < 0.5)


@pytest.mark.parametrize(
    ("threshold", "zone"),
    [
        (0.5, (0.3, 0.8)),
        (0.3, (0.3, 0.8)),
        (0.9, (0.3, 0.95)),
        (0.96, (0.96, 0.96)),
        (0.1, (0.1, 0.1)),
        (0.8, (0.3, 0.8)),
    ],
)
def test_grey_zone_between_operating_points(threshold: float, zone: tuple[float, float]) -> None:
    points = [point(Criterion.SENSITIVITY, 0.3), point(Criterion.SENSITIVITY, 0.2), point(Criterion.YOUDEN, 0.4)]
    points += [point(Criterion.SPECIFICITY, 0.8), point(Criterion.SPECIFICITY, 0.95)]
    assert grey_zone(points, threshold) == zone
    assert grey_zone(points[:3], threshold) == (threshold, threshold)
    assert grey_zone([], threshold) == (threshold, threshold)


@pytest.mark.parametrize(("chance", "refers"), [(0.25, False), (0.31, True), (0.79, True), (0.81, False)])
def test_probabilities_in_the_grey_zone_refer(chance: float, *, refers: bool) -> None:
    points = (point(Criterion.SENSITIVITY, 0.3), point(Criterion.SPECIFICITY, 0.8))
    found = judged(VerdictRules(LABELS, points=points), output_of((chance - 0.002, 0.001, 1 - chance, 0.001)))
    assert (Reason.NEAR_THRESHOLD in found.reasons) == refers


def test_decisions_do_not_depend_on_the_batch() -> None:
    rows = [(0.97, 0.01, 0.01, 0.01), (0.01, 0.01, 0.97, 0.01), (0.3, 0.2, 0.3, 0.2)]
    together = VerdictRules(LABELS, SETS, GATE).decide(output_of(*rows), [HEAD] * 3, Temperature(1.0), 0.5)
    assert together == [judged(VerdictRules(LABELS, SETS, GATE), output_of(row)) for row in rows]
    assert [each.verdict for each in together] == [Verdict.TUMOUR, Verdict.NO_TUMOUR, Verdict.REFER]
