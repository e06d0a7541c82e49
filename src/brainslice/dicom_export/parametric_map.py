"""Heat maps as DICOM parametric maps, in the source's frame of reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.sr.codedict import codes

from brainslice.arrays import Voxels
from brainslice.dicom_export.codes import make_code
from brainslice.dicom_export.source import ExportContext, ImagePlane


def make_parametric_map(context: ExportContext, planes: Sequence[ImagePlane], heat: Voxels, name: str) -> ParametricMap:
    """Make a parametric map of heat maps.

    Args:
        context: The predicted images.
        planes: The position of each in space, in one orientation.
        heat: The heat map of one class on each image's pixels ``(n, h, w)``, in units of its logit.
        name: The class.

    Returns:
        A frame of 32-bit floats for each image.

    Reference:
        DICOM PS3.3, A.75 Parametric Map IOD.
    """
    evidence = make_code(f"evidence-{name}", f"Evidence for {name}, in units of its logit")
    first = planes[0]
    measures = hd.PixelMeasuresSequence(first.spacing, first.thickness)
    orientation = hd.PlaneOrientationSequence("PATIENT", first.orientation)
    datasets = context.datasets
    for dataset in datasets:
        if "SharedFunctionalGroupsSequence" in dataset:
            # highdicom expects both in the shared functional groups, where scanners may put them in each frame.
            shared = dataset.SharedFunctionalGroupsSequence[0]
            shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = measures, orientation
        elif not dataset.get("SliceThickness"):
            dataset.SliceThickness = first.thickness
    parametric_map = ParametricMap(
        source_images=datasets,
        pixel_array=np.asarray(heat, dtype=np.float32),
        contains_recognizable_visual_features=False,
        **_value_mapping(float(heat.max(initial=0.0)) or 1.0, evidence),
        content_label="EVIDENCE",
        content_description=evidence.meaning,
        pixel_measures=measures,
        plane_orientation=orientation,
        plane_positions=[hd.PlanePositionSequence("PATIENT", plane.position) for plane in planes],
        **context.attributes("map"),
    )
    # Unpaired, so that no laterality is required.
    parametric_map.BodyPartExamined = "BRAIN"
    _reference_predicted_frames(parametric_map, context)
    return parametric_map


def _value_mapping(maximum: float, evidence: hd.sr.CodedConcept) -> dict[str, Any]:
    """Return the quantity and unit of the values, and the display window."""
    mapping = RealWorldValueMapping(
        lut_label="evidence",
        lut_explanation=evidence.meaning,
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, maximum),
        slope=1.0,
        intercept=0.0,
        quantity_definition=evidence,
    )
    window = hd.VOILUTTransformation(window_center=maximum / 2, window_width=maximum, voi_lut_function="LINEAR_EXACT")
    return {"real_world_value_mappings": [mapping], "voi_lut_transformations": [window]}


def _reference_predicted_frames(parametric_map: ParametricMap, context: ExportContext) -> None:
    """Reference only the predicted frames of those at one position, such as magnitude and phase."""
    frames = {each.frame for each in context.sources}
    if None in frames:
        return
    for group in parametric_map.PerFrameFunctionalGroupsSequence:
        for derived in group.get("DerivationImageSequence", ()):
            derived.SourceImageSequence = [
                image for image in derived.SourceImageSequence if image.get("ReferencedFrameNumber") in frames
            ]
