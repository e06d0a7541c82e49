from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from brainslice.errors import UnreadableScanError
from brainslice.inference.predictor import Predictor
from hospital import PATIENT, SAGITTAL, axial_images, head, written

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")


def save(folder: Path, series: str, images: list[tuple[str, bytes]]) -> None:
    from brainslice.pacs.study import save_image

    for uid, data in images:
        save_image(folder, series, uid, data)


def test_the_series_with_contrast_agent_is_answered_rather_than_a_larger_one(
    predictor: Predictor, tmp_path: Path
) -> None:
    from pydicom import dcmread

    from brainslice.pacs.study import StudyRules, answer_study

    save(tmp_path / "study", "1.2.3", axial_images("1.2.3", head(12)))
    save(tmp_path / "study", "1.2.4", axial_images("1.2.4", head(8), ContrastBolusAgent="gadolinium"))
    answer = answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules())
    assert answer.slices == 8
    assert sorted(each.name.split("_")[1] for each in answer.objects) == ["capture.dcm", "map.dcm", "report.dcm"]
    report = dcmread(tmp_path / "results" / "brainslice_report.dcm")
    (series,) = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.4"
    assert answer_study(predictor, tmp_path / "study", tmp_path / "again", StudyRules()).objects != answer.objects


def test_only_series_with_the_wanted_description_are_answered(predictor: Predictor, tmp_path: Path) -> None:
    from brainslice.pacs.study import StudyRules, answer_study

    save(tmp_path / "study", "1.2.3", axial_images("1.2.3", head(12), SeriesDescription="T2 axial"))
    save(tmp_path / "study", "1.2.4", axial_images("1.2.4", SeriesDescription="T1 +C axial"))
    assert answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules("t1")).slices == 8
    with pytest.raises(UnreadableScanError, match="no MR series fits the description"):
        answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules("flair"))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (axial_images("1.2.3", head(12))[:5] + axial_images("1.2.3", head(12))[8:], "slices are missing"),
        (
            axial_images("1.2.3") + [(f"{u}.9", d) for u, d in axial_images("1.2.3", directions=SAGITTAL)],
            "several orientations",
        ),
        (axial_images("1.2.3")[:2], "no three parallel slices"),
        (axial_images("1.2.3", np.full((8, 48, 48), 7, np.uint16)), "must show a head"),
        (axial_images("1.2.3", Modality="CT"), "no MR series"),
        ([(uid, data[:900]) for uid, data in axial_images("1.2.3")], "cut short"),
    ],
)
def test_a_study_that_is_not_usable_is_refused_in_a_line_without_patient_data(
    images: list[tuple[str, bytes]], reason: str, predictor: Predictor, tmp_path: Path
) -> None:
    from brainslice.pacs.study import StudyRules, answer_study

    save(tmp_path / "study", "1.2.3", images)
    with pytest.raises(UnreadableScanError, match=reason) as caught:
        answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules(report_rejected=True))
    assert not (tmp_path / "results").exists()
    message = str(caught.value)
    assert "\n" not in message
    assert not [secret for secret in (PATIENT, "Doe", "4711", "1.2.3") if secret in message]


def numbered(numbers: Sequence[int], **elements: object) -> list[tuple[str, bytes]]:
    """The lowest images of a drawn head of eight, one for each InstanceNumber."""
    from pydicom import dcmread

    made = []
    for (uid, data), number in zip(axial_images("1.2.3", **elements), numbers, strict=False):
        image = dcmread(BytesIO(data))
        image.InstanceNumber = number
        made.append((uid, written(image)))
    return made


SEQUENTIAL, INTERLEAVED = range(1, 9), (1, 5, 2, 6, 3, 7, 4, 8)
DERIVED = ["DERIVED", "SECONDARY"]


@pytest.mark.parametrize(
    ("images", "lost"),
    [
        (numbered(SEQUENTIAL)[:3] + numbered(SEQUENTIAL)[5:], "no image came between the numbers 3 and 6"),
        (numbered(INTERLEAVED[:6]), "no image came between the numbers 3 and 5"),
        (numbered(SEQUENTIAL[:6], ImagesInAcquisition=8), "6 images of 8 came"),
        (numbered(SEQUENTIAL[:6], NumberOfSeriesRelatedInstances=8), "6 images of 8 came"),
        (numbered(SEQUENTIAL[:6], ImageType=DERIVED, NumberOfSeriesRelatedInstances=8), "6 images of 8 came"),
    ],
)
def test_incomplete_series_is_told_by_numbers_and_keeps_its_study_from_an_answer(
    images: list[tuple[str, bytes]], lost: str, predictor: Predictor, tmp_path: Path
) -> None:
    from brainslice.pacs.study import StudyRules, answer_study

    save(tmp_path / "study", "1.2.3", images)
    save(tmp_path / "study", "1.2.4", axial_images("1.2.4", head(5)))
    with pytest.raises(UnreadableScanError, match=f"incomplete: {lost}; send the study again") as caught:
        answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "images",
    [
        numbered(INTERLEAVED, ImagesInAcquisition=8, NumberOfSeriesRelatedInstances=8),
        numbered(range(3, 25, 3)),
        numbered([7] * 8),
        numbered(SEQUENTIAL, ImagesInAcquisition=4),
        numbered(SEQUENTIAL, ImagesInAcquisition=160, ImageType=DERIVED),
        numbered(SEQUENTIAL[:6]),
    ],
    ids=["whole", "one of three echoes", "equal numbers", "two acquisitions", "derived images", "lost at an end"],
)
def test_series_whose_numbers_do_not_tell_of_a_loss_is_answered(
    images: list[tuple[str, bytes]], predictor: Predictor, tmp_path: Path
) -> None:
    from brainslice.pacs.study import StudyRules, answer_study

    save(tmp_path / "study", "1.2.3", images)
    answer = answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules())
    assert answer.slices == len(images)


def test_images_unlike_the_training_scans_are_marked_or_referred_without_a_class(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    import brainslice.pacs.study as module
    from brainslice.decision.verdict import Reason, Verdict
    from brainslice.inference.volume import predict_volume

    reason = next(each for each in Reason if each.rejects_input)

    def rejected(*arguments: object) -> object:
        answer = predict_volume(*arguments)
        slices = tuple(
            replace(each, prediction=replace(each.prediction, verdict=Verdict.REFER, reasons=(reason,)))
            for each in answer.slices
        )
        return replace(answer, slices=slices)

    monkeypatch.setattr(module, "predict_volume", rejected)
    save(tmp_path / "study", "1.2.3", axial_images("1.2.3"))
    with pytest.raises(UnreadableScanError, match=f"no head that the model can predict: {reason.message}"):
        module.answer_study(predictor, tmp_path / "study", tmp_path / "results", module.StudyRules())
    rules = module.StudyRules(report_rejected=True)
    answer = module.answer_study(predictor, tmp_path / "study", tmp_path / "results", rules)
    assert answer.verdict == "refer"
    report = (tmp_path / "results" / "brainslice_report.dcm").read_bytes()
    assert reason.message.encode()[:60] in report
    assert b"Most probable class" not in report


def test_events_survive_a_line_that_a_crash_tore(tmp_path: Path) -> None:
    from brainslice.pacs.study import EventLog

    log = EventLog(tmp_path / "journal.jsonl")
    assert not list(log.read())
    log.write("answered", study="a")
    with (tmp_path / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"time": "2025-')
    log.write("answered", study="b")
    assert [each["study"] for each in log.read()] == ["a", "b"]
