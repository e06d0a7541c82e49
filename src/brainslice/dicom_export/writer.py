"""A prediction's DICOM objects on the disk."""

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
    """Write a report and, where the source says where it lies, a map.

    Args:
        predictor: Who answered, and about which of several pictures in the file.
        path: The file it was asked about.
        answer: What it said.
        stem: Where the objects go: ``STEM_report.dcm`` and ``STEM_map.dcm``; those of an earlier run are replaced.

    Returns:
        What was written; nothing where the file is no DICOM file.

    Raises:
        UnreadableScanError: The file lacks what its study needs. The message quotes nothing from it.
        ResourceError: The disk is full.
    """
    source = read_source(path, predictor.frame)
    if source is None:
        return ()
    info = predictor.bundle.info
    with as_unreadable("the DICOM file's study"):
        objects: dict[str, Dataset] = {"report": make_structured_report(source, answer, info)}
        place = source.image_plane
        if place is not None:
            scan = read_scan(path, predictor.frame)
            heat = predictor.recipe.frame(scan).unwarp(answer.heat_map(), scan.pixels.shape)
            # The scan was made of square pixels, and the map lies on the source's own.
            placed = upsample(heat, int(source.dataset.Rows), int(source.dataset.Columns))
            objects["map"] = make_parametric_map(source, place, placed, answer.most_probable_class, info)
        # Put into bytes inside the boundary, as pydicom quotes what it cannot write.
        written = {stem.with_name(f"{stem.name}_{kind}.dcm"): _bytes_of(made) for kind, made in objects.items()}
    for name, data in written.items():
        with atomic_file(name) as temporary:
            temporary.write_bytes(data)
    return tuple(written)


def _bytes_of(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer)
    return buffer.getvalue()
