"""A prediction's DICOM objects on the disk."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset

from brainslice.dicom_out.map import make_map
from brainslice.dicom_out.report import make_report
from brainslice.dicom_out.source import Source, read_source
from brainslice.errors import UnreadableScanError
from brainslice.files import replacing
from brainslice.infer.prediction import Prediction
from brainslice.infer.predictor import Predictor
from brainslice.scan.boundary import one_refusal
from brainslice.scan.read import read_scan


def write_dicom(
    predictor: Predictor, path: Path, answer: Prediction, stem: Path, frame: int | None = None
) -> tuple[Path, ...]:
    """Write a report and, where the source says where it lies, a map.

    Args:
        predictor: Who answered.
        path: The file it was asked about.
        answer: What it said.
        stem: Where the objects go: ``STEM_report.dcm`` and ``STEM_map.dcm``; those of an earlier run are replaced.
        frame: Which of several pictures in the file, from 1.

    Returns:
        What was written; nothing where the file is no DICOM file.

    Raises:
        UnreadableScanError: The file lacks what its study needs. The message quotes nothing from it.
        ResourceError: The disk is full.
    """
    source = read_source(path, frame)
    if source is None:
        return ()
    info = predictor.bundle.info
    with one_refusal("the DICOM file's study"):
        objects: dict[str, Dataset] = {"report": make_report(source, answer, info)}
        place = source.place
        if place is not None:
            heat = predictor.recipe.frame(read_scan(path, frame)).unwarp(answer.heat, _shape(source))
            objects["map"] = make_map(source, place, heat, answer.predicted, info)
    return tuple(_save(made, stem.with_name(f"{stem.name}_{kind}.dcm")) for kind, made in objects.items())


def _shape(source: Source) -> tuple[int, int]:
    rows, columns = int(source.dataset.get("Rows") or 0), int(source.dataset.get("Columns") or 0)
    if min(rows, columns) < 1:
        msg = "must say how many rows and columns it has; export it again"
        raise UnreadableScanError(msg)
    return rows, columns


def _save(made: Dataset, path: Path) -> Path:
    with replacing(path) as temporary:
        made.save_as(temporary)
    return path
