"""The DICOM objects of a prediction, made and written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom import Dataset

from brainslice.arrays import Voxels
from brainslice.dicom_export.capture import make_capture
from brainslice.dicom_export.parametric_map import make_parametric_map
from brainslice.dicom_export.source import ExportContext, SourceImage, read_source
from brainslice.dicom_export.structured_report import make_structured_report
from brainslice.files import atomic_file
from brainslice.inference import Prediction, Predictor, VolumePrediction, upsample
from brainslice.scan import SourceStack, Volume, as_unreadable, read_scan


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
    context = ExportContext.of(predictor, source)
    with as_unreadable("the DICOM file's study"):
        objects: dict[str, Dataset] = {"report": make_structured_report(context, answer)}
        plane = source.image_plane
        if plane is not None and predictor.bundle.info.has_heat_maps:
            scan = read_scan(path, predictor.frame)
            heat = predictor.recipe.frame(scan).unwarp(answer.heat_map(), scan.pixels.shape)
            # The scan was resampled to square pixels; the map is on the source's pixels.
            resampled = upsample(heat, int(source.dataset.Rows), int(source.dataset.Columns))
            objects["map"] = make_parametric_map(context, [plane], resampled[np.newaxis], answer.most_probable_class)
        encoded = _encode_all(objects)
    return _write(encoded, stem)


def write_volume_dicom(
    predictor: Predictor, path: Path, volume: Volume, answer: VolumePrediction, stem: Path
) -> tuple[Path, ...]:
    """Write a structured report, a parametric map and a key image of a DICOM series.

    Args:
        predictor: The predictor.
        path: The file or folder that the volume was read from.
        volume: The volume.
        answer: Its prediction.
        stem: Start of the paths: ``STEM_report.dcm``, ``STEM_map.dcm`` and ``STEM_capture.dcm``; existing files are
            replaced.

    Returns:
        The files written; no map if the images lack a frame of reference, and none if ``path`` holds no DICOM.

    Raises:
        UnreadableScanError: The files lack required attributes. The message quotes no value of them.
        ResourceError: The disk is full.
    """
    if volume.stack is None:
        return ()
    context = ExportContext.of(predictor, *_read_sources(path, volume.stack))
    probabilities = answer.probabilities
    name = answer.predicted_class or max(probabilities, key=probabilities.__getitem__)
    with as_unreadable("the DICOM series' study"):
        objects: dict[str, Dataset] = {"report": make_structured_report(context, answer)}
        planes = [plane for source in context.sources if (plane := source.image_plane) is not None]
        if len(planes) == len(context.sources) and predictor.bundle.info.has_heat_maps:
            heat = volume.stack.reorientation.undo(_heat_volume(predictor, volume, answer, name))
            objects["map"] = make_parametric_map(context, planes, np.ascontiguousarray(heat), name)
        objects["capture"] = make_capture(context, answer, name)
        encoded = _encode_all(objects)
    return _write(encoded, stem)


def _read_sources(path: Path, stack: SourceStack) -> list[SourceImage]:
    names = dict.fromkeys(name for name, _ in stack.images)
    read = {name: read_source(path / name if path.is_dir() else path, 1) for name in names}
    return [
        SourceImage(source.dataset, None if source.frame is None else frame + 1)
        for name, frame in stack.images
        if (source := read[name]) is not None
    ]


def _heat_volume(predictor: Predictor, volume: Volume, answer: VolumePrediction, name: str) -> Voxels:
    """Compute the heat of one class at each voxel, 0 in slices that were not predicted."""
    heat = np.zeros_like(volume.voxels)
    for each in answer.slices:
        scan = volume.axial_slice(each.number - 1)
        square = predictor.recipe.frame(scan).unwarp(each.prediction.heat_map(name), scan.pixels.shape)
        heat[each.number - 1] = upsample(square, *heat.shape[1:])
    return heat


def _encode_all(objects: Mapping[str, Dataset]) -> dict[str, bytes]:
    """Encode objects inside the caller's error boundary, because pydicom's messages quote values."""
    encoded = {}
    for kind, dataset in objects.items():
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        encoded[kind] = buffer.getvalue()
    return encoded


def _write(encoded: Mapping[str, bytes], stem: Path) -> tuple[Path, ...]:
    written = {stem.with_name(f"{stem.name}_{kind}.dcm"): data for kind, data in encoded.items()}
    for name, data in written.items():
        with atomic_file(name) as temporary:
            temporary.write_bytes(data)
    return tuple(written)
