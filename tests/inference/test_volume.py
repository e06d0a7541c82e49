from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.decision.verdict import Reason, Verdict
from brainslice.errors import UnreadableScanError, UsageError
from brainslice.inference.predictor import Predictor
from brainslice.inference.volume import (
    NOT_CALIBRATED,
    SINGLE_SLICES,
    VolumePrediction,
    predict_volume,
    run_length,
    slices_with_head,
    strongest_run,
)
from brainslice.scan import Plane, Volume, read_volume
from brainslice.scan.types import Remark, RemarkCode
from hospital import head, write_series

HEAD = head(24).astype(np.float32)
VOLUME = Volume(HEAD, (2.0, 1.0, 1.0), Plane.AXIAL, 0.0, evenly_spaced=True, digest="d" * 64)


@pytest.fixture(scope="module")
def answer(predictor: Predictor) -> VolumePrediction:
    return predict_volume(predictor, VOLUME, "head")


def test_slices_are_predicted_like_single_scans(predictor: Predictor, answer: VolumePrediction) -> None:
    cuts = [VOLUME.axial_slice(index) for index in range(len(VOLUME.voxels))]
    for each in answer.slices[::5]:
        (alone,) = predictor.predict_inputs(["alone"], [predictor.recipe(cuts[each.number - 1])])
        assert each.prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        assert each.prediction.verdict is alone.verdict


def test_the_curve_has_a_row_for_each_slice_that_shows_a_head(answer: VolumePrediction) -> None:
    assert answer.total == len(HEAD)
    assert answer.curve.shape == (len(answer.slices), len(answer.labels))
    assert len(answer.slices) < len(HEAD)
    np.testing.assert_allclose(answer.curve.sum(axis=1), 1.0)
    numbers = [each.number for each in answer.slices]
    assert numbers == sorted(numbers)


def test_volume_probability_is_the_mean_of_neighbours(answer: VolumePrediction) -> None:
    numbers = [each.number for each in answer.decisive_slices]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    tumour = [each.prediction.tumour_probability for each in answer.decisive_slices]
    assert answer.tumour_probability == pytest.approx(np.mean(tumour))
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
    assert answer.probabilities[answer.predicted_class] == max(answer.probabilities.values())


def with_verdicts(answer: VolumePrediction, verdicts: list[Verdict], share: float) -> VolumePrediction:
    """The same volume, where the carrying slices were judged otherwise."""
    others = dict.fromkeys(answer.labels.names[:2] + answer.labels.names[3:], share / 3)
    said = {name: others.get(name, 1 - share) for name in answer.labels.names}
    start, _ = answer.decisive
    slices = list(answer.slices)
    for number, verdict in enumerate(verdicts, start):
        reasons = (Reason.OUT_OF_DISTRIBUTION,) if verdict is Verdict.REFER else ()
        judged = replace(slices[number].prediction, verdict=verdict, reasons=reasons, probabilities=said)
        slices[number] = replace(slices[number], prediction=judged)
    return replace(answer, slices=tuple(slices), decisive=(start, start + len(verdicts)))


def test_volume_verdict(answer: VolumePrediction) -> None:
    refer, sure = Verdict.REFER, Verdict.TUMOUR
    assert with_verdicts(answer, [sure, sure, sure], 0.9).verdict is Verdict.TUMOUR
    assert with_verdicts(answer, [sure, sure, sure], 0.1).verdict is Verdict.NO_TUMOUR
    assert with_verdicts(answer, [refer, sure, sure], 0.9).verdict is Verdict.TUMOUR
    referred = with_verdicts(answer, [refer, refer, sure], 0.9)
    assert (referred.verdict, referred.reasons) == (Verdict.REFER, (Reason.OUT_OF_DISTRIBUTION,))


def test_volume_to_json_states_the_calibration(answer: VolumePrediction) -> None:
    said = json.loads(json.dumps(answer.to_json()))
    assert said["calibration"] == NOT_CALIBRATED
    assert SINGLE_SLICES in said["notes"]
    assert [each["slice"] for each in said["curve"]] == [each.number for each in answer.slices]
    assert set(said["decisive_slices"]) <= {each["slice"] for each in said["curve"]}
    assert said["tumour_probability"] == pytest.approx(1 - said["probabilities"]["no_tumor"])


def test_file_names_are_printed_as_one_line_of_utf_8(predictor: Predictor) -> None:
    odd = predict_volume(predictor, VOLUME, "a\n\udcff").to_json()["source"]
    assert odd.isprintable()
    assert odd.encode("utf-8")


def test_notes_on_plane_tilt_and_spacing(predictor: Predictor) -> None:
    odd = replace(VOLUME, spacing=(1.0, 1.0, 1.1), acquisition_plane=Plane.SAGITTAL, tilt=15.0)
    notes = {note.code: (note.message, note.value) for note in predict_volume(predictor, odd).notes}
    words, value = notes[RemarkCode.PLANE]
    assert ("sagittal" in words, value) == (True, "sagittal")
    words, value = notes[RemarkCode.TILT]
    assert ("15 degrees" in words, value) == (True, 15)
    *_, uneven = predict_volume(predictor, replace(VOLUME, evenly_spaced=False)).notes
    assert (uneven.code, "missing" in uneven.message) == (RemarkCode.UNEVEN, True)
    sheared = Remark(RemarkCode.SHEARED, "the orientation in the header is sheared")
    assert predict_volume(predictor, replace(VOLUME, remarks=(sheared,))).notes[-1] == sheared


def test_every_note_has_a_code(answer: VolumePrediction) -> None:
    said = answer.to_json()
    assert [each["message"] for each in said["remarks"]] == [said["calibration"], *said["notes"]]
    assert [each["code"] for each in said["remarks"]] == ["uncalibrated", "single_slices"]


@pytest.mark.parametrize(
    ("unfit", "fault"),
    [
        (replace(VOLUME, voxels=np.zeros((4, 8, 8), np.float32)), "one grey"),
        (replace(VOLUME, spacing=(1.0, 1.0, 6.0), acquisition_plane=Plane.SAGITTAL), "sagittal"),
    ],
)
def test_unsuitable_volume_is_refused(predictor: Predictor, unfit: Volume, fault: str) -> None:
    with pytest.raises(UnreadableScanError, match=f"^head: .*{fault}"):
        predict_volume(predictor, unfit, "head")


def test_series_equals_its_voxels(predictor: Predictor, answer: VolumePrediction, tmp_path: Path) -> None:
    read = read_volume(write_series(tmp_path / "series", head(24)))
    np.testing.assert_allclose(predict_volume(predictor, read).curve, answer.curve, atol=1e-6)


@pytest.mark.parametrize(("slices", "length"), [(1, 1), (2, 2), (3, 3), (24, 3), (31, 4), (160, 16)])
def test_a_run_is_a_tenth_of_the_head_and_at_least_three_slices(slices: int, length: int) -> None:
    assert run_length(slices) == length


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)))
def test_no_other_run_has_a_higher_mean(scores: np.ndarray) -> None:
    start, stop = strongest_run(scores)
    length = run_length(len(scores))
    means = [scores[first : first + length].mean() for first in range(len(scores) - length + 1)]
    assert stop - start == length
    assert scores[start:stop].mean() == pytest.approx(max(means))


def test_three_neighbours_outweigh_one_slice() -> None:
    scores = np.full(30, 0.05)
    scores[4] = 1.0
    assert scores[slice(*strongest_run(scores))].mean() < 0.5
    scores[20:23] = 0.9
    assert strongest_run(scores) == (20, 23)


def test_low_probabilities_do_not_accumulate() -> None:
    doubts = np.full(150, 0.05)
    assert 1 - np.prod(1 - doubts) > 0.99
    assert doubts[slice(*strongest_run(doubts))].mean() == pytest.approx(0.05)


def test_pooling_of_no_slices_raises() -> None:
    with pytest.raises(UsageError, match="at least one slice"):
        strongest_run(np.zeros(0))


def test_empty_slices_and_the_ends_of_the_head_are_left_out() -> None:
    empty = np.zeros((4, 48, 48))
    voxels = np.concatenate([empty, head(24), empty]).astype(np.float32)
    kept = slices_with_head(voxels)
    areas = (voxels > 0).sum(axis=(1, 2))
    assert kept == [number for number, area in enumerate(areas) if area >= areas.max() / 4]
    assert 5 < kept[0] < kept[-1] < 27


@given(st.floats(-1000, 1000), st.floats(0.1, 50))
def test_head_detection_does_not_depend_on_intensity_units(offset: float, scale: float) -> None:
    voxels = head(24).astype(np.float32)
    assert slices_with_head(voxels * np.float32(scale) + np.float32(offset)) == slices_with_head(voxels)


def test_a_volume_of_one_grey_shows_no_head() -> None:
    assert slices_with_head(np.full((3, 4, 5), 7, np.float32)) == []
