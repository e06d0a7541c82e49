"""Write the DICOM objects of a prediction."""

from __future__ import annotations

import io
from pathlib import Path

from pydicom import Dataset

from brainslice.dicom_export.parametric_map import make_parametric_map
from brainslice.dicom_export.source import read_source
from brainslice.dicom_export.structured_report import make_structured_report
from brainslice.files import atomic_file
from brainslice.inference.heat_map import upsample
from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.read import read_scan


def write_dicom(predictor: Predictor, path: Path, answer: Prediction, stem: Path) -> tuple[Path, ...]:
    """Write a structured report and, if the source has a position in space, a parametric map.

    Args:
        predictor: The predictor, with the frame number for multi-frame files.
        path: The predicted file.
        answer: The prediction.
        stem: Start of the paths: ``STEM_report.dcm`` and ``STEM_map.dcm``; existing files are replaced.

    Returns:
        The files written; none if ``path`` is no DICOM file.

    Raises:
        UnreadableScanError: The file lacks required attributes. The message quotes no value of it.
        ResourceError: The disk is full.
    """
    source = read_source(path, predictor.frame)
    if source is None:
        return ()
    info = predictor.bundle.info
    with as_unreadable("the DICOM file's study"):
        objects: dict[str, Dataset] = {"report": make_structured_report(source, answer, info)}
        plane = source.image_plane
        if plane is not None:
            scan = read_scan(path, predictor.frame)
            heat = predictor.recipe.frame(scan).unwarp(answer.heat_map(), scan.pixels.shape)
            # The scan was resampled to square pixels; the map is on the source's pixels.
            resampled = upsample(heat, int(source.dataset.Rows), int(source.dataset.Columns))
            objects["map"] = make_parametric_map(source, plane, resampled, answer.most_probable_class, info)
        # Encoded inside the error boundary, because pydicom's messages quote values.
        written = {stem.with_name(f"{stem.name}_{kind}.dcm"): _encode(dataset) for kind, dataset in objects.items()}
    for name, data in written.items():
        with atomic_file(name) as temporary:
            temporary.write_bytes(data)
    return tuple(written)


def _encode(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
