"""Predictions as Comprehensive SR documents of template TID 1500: preliminary, unverified, research use."""

from __future__ import annotations

from typing import Final

import highdicom as hd
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
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
from brainslice.bundle.types import BundleInfo
from brainslice.dicom_export.codes import (
    CHARACTERS,
    MANUFACTURER,
    REPORT_SERIES_NUMBER,
    RESEARCH_ONLY,
    SERIES,
    coding_scheme,
    make_code,
)
from brainslice.dicom_export.source import SourceImage
from brainslice.inference.prediction import Prediction

_HEAD_SCAN: Final = ("mri-head", "Magnetic resonance imaging of the head")


def make_structured_report(source: SourceImage, answer: Prediction, info: BundleInfo) -> ComprehensiveSR:
    """Make a structured report of a prediction in the source's study.

    Returns:
        The report: the verdict as finding, probabilities as measurements, the model with its digest, and a reference
        to the image.

    Reference:
        DICOM PS3.16, TID 1500 Measurement Report, TID 1501 Measurement and Qualitative Evaluation Group.
    """
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(info)),
        procedure_reported=make_code(*_HEAD_SCAN),
        imaging_measurements=[_group(source, answer, info)],
    )
    return ComprehensiveSR(
        evidence=[source.dataset],
        content=content[0],
        series_instance_uid=hd.UID(),
        series_number=REPORT_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        series_description=SERIES,
        manufacturer_model_name=_short(info.name),
        software_versions=brainslice.__version__,
        device_serial_number=info.digest,
        coding_schemes=[coding_scheme()],
        specific_character_set=CHARACTERS,
    )


def _observer(info: BundleInfo) -> ObserverContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=_device_uid(info),
        name="brainslice",
        manufacturer_name=MANUFACTURER,
        model_name=_short(info.name),
        serial_number=info.digest,
    )
    return ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def _device_uid(info: BundleInfo) -> UID:
    """Return a UID derived from the bundle's digest."""
    return UID(f"2.25.{int(info.digest[:32], 16)}")


def _group(source: SourceImage, answer: Prediction, info: BundleInfo) -> MeasurementsAndQualitativeEvaluations:
    image = SourceImageForMeasurementGroup(
        referenced_sop_class_uid=source.dataset.SOPClassUID,
        referenced_sop_instance_uid=source.dataset.SOPInstanceUID,
        referenced_frame_numbers=None if source.frame is None else [source.frame],
    )
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=hd.UID(), identifier="whole image"),
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
        source_images=[image],
    )


def _measurements(answer: Prediction) -> list[Measurement]:
    values = {f"Calibrated probability of {name}": value for name, value in answer.probabilities.items()}
    values |= {"Calibrated probability of any tumour": answer.tumour_probability}
    names = (*answer.probabilities, "any-tumour")
    return [
        Measurement(name=make_code(f"probability-{name}", meaning), value=value, unit=codes.UCUM.NoUnits)
        for name, (meaning, value) in zip(names, values.items(), strict=True)
    ]


def _evaluations(answer: Prediction) -> list[QualitativeEvaluation]:
    evaluations = [
        ("use", "Use", "research", RESEARCH_ONLY),
        *(
            ("most-probable", "Most probable class", name, name)
            for name in (answer.predicted_class,)
            if name is not None
        ),
        *(("referred-because", "Referred because", reason.value, reason.message) for reason in answer.reasons),
        *(("still-possible", f"Possible at {answer.coverage:.0%}", name, name) for name in answer.prediction_set),
        *(("mark", "Warning of the model", warning, warning) for warning in answer.warnings),
    ]
    return [
        QualitativeEvaluation(make_code(code, name), make_code(value, meaning))
        for code, name, value, meaning in evaluations
    ]


def _short(text: str) -> str:
    return text[:64]
