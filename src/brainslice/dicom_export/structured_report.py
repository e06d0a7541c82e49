"""Predictions as Comprehensive 3D SR documents of template TID 1500: preliminary, unverified, research use."""

from __future__ import annotations

from typing import Final, TypeAlias

from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes
from pydicom.uid import UID

import brainslice
from brainslice.bundle import BundleInfo
from brainslice.dicom_export.codes import MANUFACTURER, make_code
from brainslice.dicom_export.source import ExportContext
from brainslice.inference import NOT_CALIBRATED, RESEARCH_ONLY, Prediction, VolumePrediction

Answer: TypeAlias = Prediction | VolumePrediction
"""What a report is made of."""

_Evaluation: TypeAlias = tuple[str, str, str, str]

_HEAD_SCAN: Final = ("mri-head", "Magnetic resonance imaging of the head")


def make_structured_report(context: ExportContext, answer: Answer) -> Comprehensive3DSR:
    """Make a structured report of a prediction in the study of its images.

    Args:
        context: The predicted images.
        answer: The prediction of the one image, or of the volume made of them.

    Returns:
        The report: the verdict as finding, probabilities as measurements, the model with its digest, and references
        to the images.

    Reference:
        DICOM PS3.16, TID 1500 Measurement Report, TID 1501 Measurement and Qualitative Evaluation Group.
    """
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(context.info)),
        procedure_reported=make_code(*_HEAD_SCAN),
        imaging_measurements=[_group(context, answer)],
    )
    return Comprehensive3DSR(
        evidence=context.datasets, content=content[0], is_complete=True, **context.attributes("report")
    )


def _observer(info: BundleInfo) -> ObserverContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=_device_uid(info),
        name="brainslice",
        manufacturer_name=MANUFACTURER,
        model_name=info.name[:64],
        serial_number=info.digest,
    )
    return ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def _device_uid(info: BundleInfo) -> UID:
    """Return a UID derived from the bundle's digest."""
    return UID(f"2.25.{int(info.digest[:32], 16)}")


def _group(context: ExportContext, answer: Answer) -> MeasurementsAndQualitativeEvaluations:
    info, whole = context.info, "whole series" if isinstance(answer, VolumePrediction) else "whole image"
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=context.uid("report", "finding"), identifier=whole),
        finding_type=make_code(answer.verdict.value.replace(" ", "-"), f"{answer.verdict.value} (model's verdict)"),
        algorithm_id=AlgorithmIdentification(
            name=info.name,
            version=brainslice.__version__,
            parameters=[
                f"bundle sha256 {info.digest}",
                f"tumour from a probability of {answer.threshold:g} on",
                RESEARCH_ONLY,
            ],
            manufacturer=MANUFACTURER,
        ),
        finding_sites=[FindingSite(codes.SCT.Brain)],
        measurements=_measurements(answer),
        qualitative_evaluations=_evaluations(answer),
        source_images=_images(context),
    )


def _images(context: ExportContext) -> list[SourceImageForMeasurementGroup]:
    """Reference each file, with the numbers of its predicted frames."""
    return [
        SourceImageForMeasurementGroup(
            referenced_sop_class_uid=dataset.SOPClassUID,
            referenced_sop_instance_uid=dataset.SOPInstanceUID,
            referenced_frame_numbers=[
                each.frame for each in context.sources if each.dataset is dataset and each.frame is not None
            ]
            or None,
        )
        for dataset in context.datasets
    ]


def _measurements(answer: Answer) -> list[Measurement]:
    kind = "Pooled" if isinstance(answer, VolumePrediction) else "Calibrated"
    values = {f"{kind} probability of {name}": value for name, value in answer.probabilities.items()}
    names = [*answer.probabilities]
    if answer.labels.healthy is not None:
        values[f"{kind} probability of any tumour"] = answer.tumour_probability
        names.append("any-tumour")
    return [
        Measurement(name=make_code(f"probability-{name}", meaning), value=value, unit=codes.UCUM.NoUnits)
        for name, (meaning, value) in zip(names, values.items(), strict=True)
    ]


def _evaluations(answer: Answer) -> list[QualitativeEvaluation]:
    predicted = answer.predicted_class
    evaluations = [
        ("use", "Use", "research", RESEARCH_ONLY),
        *(("most-probable", "Most probable class", name, name) for name in (predicted,) if name is not None),
        *(("referred-because", "Referred because", reason.value, reason.message) for reason in answer.reasons),
        *(_of_volume(answer) if isinstance(answer, VolumePrediction) else _of_slice(answer)),
    ]
    return [
        QualitativeEvaluation(make_code(code, name), make_code(value, meaning))
        for code, name, value, meaning in evaluations
    ]


def _of_slice(answer: Prediction) -> list[_Evaluation]:
    return [
        *(("still-possible", f"Possible at {answer.coverage:.0%}", name, name) for name in answer.prediction_set),
        *(("mark", "Warning of the model", warning, warning) for warning in answer.warnings),
    ]


def _of_volume(answer: VolumePrediction) -> list[_Evaluation]:
    first, last = answer.decisive_slices[0].number, answer.decisive_slices[-1].number
    slices = f"{first} to {last} of {answer.total}, axial, inferior to superior"
    return [
        ("pooled-from", "Pooled from slices", f"{first}-{last}", slices),
        ("calibration", "Calibration", "uncalibrated", NOT_CALIBRATED),
        *(("note", "Note", note.code.value, note.message) for note in answer.notes),
        *(("mark", "Warning of the model", each, each) for each in answer.slices[0].prediction.warnings),
    ]
