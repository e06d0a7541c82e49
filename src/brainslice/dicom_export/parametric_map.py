"""Heat maps as DICOM parametric maps, in the source's frame of reference."""

from __future__ import annotations

from typing import Any

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.sr.codedict import codes

import brainslice
from brainslice.arrays import Heat
from brainslice.bundle.types import BundleInfo
from brainslice.dicom_export.codes import CHARACTERS, MANUFACTURER, MAP_SERIES_NUMBER, SERIES, coding_scheme, make_code
from brainslice.dicom_export.source import ImagePlane, SourceImage


def make_parametric_map(
    source: SourceImage, plane: ImagePlane, heat: Heat, name: str, info: BundleInfo
) -> ParametricMap:
    """Make a parametric map of a heat map.

    Args:
        source: The image that was predicted.
        plane: Its position in space.
        heat: The heat map of one class ``(h, w)``, in units of its logit, on the source's pixels.
        name: The class.
        info: The bundle's description.

    Returns:
        One frame of 32-bit floats.

    Reference:
        DICOM PS3.3, A.75 Parametric Map IOD.
    """
    evidence = make_code(f"evidence-{name}", f"Evidence for {name}, in units of its logit")
    measures = hd.PixelMeasuresSequence(plane.spacing, plane.thickness)
    orientation = hd.PlaneOrientationSequence("PATIENT", plane.orientation)
    if source.frame is not None:
        # highdicom expects both in the shared functional groups, where scanners may put them in each frame.
        shared = source.dataset.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = measures, orientation
    parametric_map = ParametricMap(
        source_images=[source.dataset],
        pixel_array=np.asarray(heat, dtype=np.float32)[np.newaxis],
        series_instance_uid=hd.UID(),
        series_number=MAP_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=info.name[:64],
        software_versions=brainslice.__version__,
        device_serial_number=info.digest,
        contains_recognizable_visual_features=False,
        **_value_mapping(float(heat.max(initial=0.0)) or 1.0, evidence),
        content_label="EVIDENCE",
        content_description=evidence.meaning,
        pixel_measures=measures,
        plane_orientation=orientation,
        plane_positions=[hd.PlanePositionSequence("PATIENT", plane.position)],
        series_description=SERIES,
        coding_schemes=[coding_scheme()],
        specific_character_set=CHARACTERS,
    )
    # Unpaired, so that no laterality is required.
    parametric_map.BodyPartExamined = "BRAIN"
    _reference_one_frame(parametric_map, source)
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


def _reference_one_frame(parametric_map: ParametricMap, source: SourceImage) -> None:
    """Reference only the predicted frame of those at this position, such as magnitude and phase."""
    if source.frame is None:
        return
    for derived in parametric_map.PerFrameFunctionalGroupsSequence[0].get("DerivationImageSequence", ()):
        derived.SourceImageSequence = [
            image for image in derived.SourceImageSequence if image.get("ReferencedFrameNumber") == source.frame
        ]
