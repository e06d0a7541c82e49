"""Key images as secondary captures: the decisive slice beside its heat map, with the note on use burnt in."""

from __future__ import annotations

import numpy as np
from highdicom.sc import SCImage
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from brainslice.dicom_export.source import ExportContext, SourceImage
from brainslice.inference import RESEARCH_ONLY, VolumePrediction, draw_page, format_percent


def make_capture(context: ExportContext, answer: VolumePrediction, name: str) -> SCImage:
    """Make the key image of a volume: its strongest decisive slice, as an RGB image without patient data.

    Args:
        context: The predicted images.
        answer: The prediction of the volume made of them.
        name: The class whose heat map is shown.

    Reference:
        DICOM PS3.3, A.8.1 Secondary Capture Image IOD.
    """
    strongest = max(answer.decisive_slices, key=lambda each: each.prediction.tumour_probability)
    share = f"any tumour {format_percent(answer.tumour_probability)} (pooled, not calibrated)"
    finding = f"{name}; {share}" if answer.predicted_class is not None else answer.reasons[0].message
    lines = (
        f"{answer.verdict.value}: {finding}",
        f"slice {strongest.number} of {answer.total}; evidence for {name}, relative to its maximum",
        " · ".join((RESEARCH_ONLY, *strongest.prediction.warnings)),
    )
    capture = SCImage.from_ref_dataset(
        context.sources[0].dataset,
        pixel_array=np.asarray(draw_page(strongest.prediction, name, lines=lines)),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        # Axial slices stand as a radiologist looks at them.
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **context.attributes("capture"),
    )
    capture.BodyPartExamined = "BRAIN"
    # Whether a patient could be identified by what is burnt in.
    capture.BurnedInAnnotation = "NO"
    capture.DerivationDescription = f"heat map over an axial slice, {RESEARCH_ONLY}"
    capture.SourceImageSequence = [_reference(each) for each in context.sources]
    return capture


def _reference(source: SourceImage) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = source.dataset.SOPInstanceUID
    if source.frame is not None:
        item.ReferencedFrameNumber = source.frame
    return item
