"""Where the evidence lies as a DICOM parametric map, in the source's own frame of reference."""

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
    source: SourceImage, place: ImagePlane, heat: Heat, name: str, info: BundleInfo
) -> ParametricMap:
    """Lay a class map over the picture it explains.

    Args:
        source: The picture that was predicted.
        place: Where it lies.
        heat: The evidence for one class ``(h, w)``, in units of its logit, on the source's own pixels.
        name: The class.
        info: The bundle that saw it.

    Returns:
        One frame of 32-bit floats, marked as research.

    Reference:
        DICOM PS3.3, A.75 Parametric Map IOD.
    """
    evidence = make_code(f"evidence-{name}", f"Evidence for {name}, in units of its logit")
    measures = hd.PixelMeasuresSequence(place.spacing, place.thickness)
    orientation = hd.PlaneOrientationSequence("PATIENT", place.orientation)
    if source.frame is not None:
        # highdicom looks for both among what all frames share, and scanners repeat them for each frame.
        shared = source.dataset.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = measures, orientation
    drawn = ParametricMap(
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
        **_meaning(float(heat.max(initial=0.0)) or 1.0, evidence),
        content_label="EVIDENCE",
        content_description=evidence.meaning,
        pixel_measures=measures,
        plane_orientation=orientation,
        plane_positions=[hd.PlanePositionSequence("PATIENT", place.position)],
        series_description=SERIES,
        coding_schemes=[coding_scheme()],
        specific_character_set=CHARACTERS,
    )
    # Without a part of the body that comes once, a side of it would have to be given.
    drawn.BodyPartExamined = "BRAIN"
    _name_one_frame(drawn, source)
    return drawn


def _meaning(strongest: float, evidence: hd.sr.CodedConcept) -> dict[str, Any]:
    """Say what the numbers are, and which of them fill the screen's range of greys."""
    mapping = RealWorldValueMapping(
        lut_label="evidence",
        lut_explanation=evidence.meaning,
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, strongest),
        slope=1.0,
        intercept=0.0,
        quantity_definition=evidence,
    )
    window = hd.VOILUTTransformation(
        window_center=strongest / 2, window_width=strongest, voi_lut_function="LINEAR_EXACT"
    )
    return {"real_world_value_mappings": [mapping], "voi_lut_transformations": [window]}


def _name_one_frame(drawn: ParametricMap, source: SourceImage) -> None:
    """Keep of the pictures that lie at this place, such as magnitude and phase, the one that was looked at."""
    if source.frame is None:
        return
    for derived in drawn.PerFrameFunctionalGroupsSequence[0].get("DerivationImageSequence", ()):
        derived.SourceImageSequence = [
            image for image in derived.SourceImageSequence if image.get("ReferencedFrameNumber") == source.frame
        ]
