"""``brainslice predict-volume``: predict a volume and each of its slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.cli.console import RESEARCH_ONLY, print_json, print_note
from brainslice.cli.options import BundleFolder, Root, Threshold, open_predictor
from brainslice.cli.prediction_text import print_volume
from brainslice.lazy import require_extra

if TYPE_CHECKING:
    from brainslice.inference.volume import VolumePrediction

Overlays: TypeAlias = Annotated[
    Path | None, typer.Option("--gradcam", metavar="DIR", help="Write the decisive slices with their heat maps.")
]
DicomFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--dicom-out", metavar="DIR", help="Write a DICOM report, map and key image of the series."),
]


def predict_volume(
    path: Annotated[
        Path, typer.Argument(help="A NIfTI file, a DICOM file of many frames, or a folder of DICOM files.")
    ],
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    series: Annotated[
        str | None, typer.Option("--series", metavar="NAME", help="Which of several DICOM series in the folder.")
    ] = None,
    first: Annotated[
        bool, typer.Option("--first-volume", help="Take the first of several volumes: times, echoes, 4-D files.")
    ] = False,
    gradcam: Overlays = None,
    dicom_folder: DicomFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the whole curve.")] = False,
) -> None:
    """Predict a volume slice by slice along the axial plane, and as a whole.

    The probabilities of slices are calibrated, that of the volume is not; the model was trained on single slices.
    """
    from brainslice.inference.volume import predict_volume
    from brainslice.scan.volume.reader import read_volume

    if dicom_folder is not None:
        require_extra("dicom-out", "--dicom-out", "highdicom")
    scan = read_volume(path, series=series, first=first)
    predictor = open_predictor(root, bundle, threshold)
    answer = predict_volume(predictor, scan, path.name)
    if as_json:
        print_json("volume", answer.to_json())
    else:
        print_volume(path, answer)
    if gradcam is not None:
        _draw(answer, gradcam)
    if dicom_folder is not None:
        from brainslice.dicom_export.writer import write_volume_dicom

        if not write_volume_dicom(predictor, path, scan, answer, dicom_folder / (path.stem or "series")):
            print_note(f"{path}: no DICOM file, so no DICOM report was written")
    if not as_json:
        print_note(RESEARCH_ONLY)


def _draw(answer: VolumePrediction, folder: Path) -> None:
    from brainslice.inference.overlay import save_overlay

    for each in answer.decisive_slices:
        save_overlay(
            each.prediction,
            folder / f"slice_{each.number:03d}_{each.prediction.predicted_class or each.prediction.verdict.value}.png",
        )
    try:
        from brainslice.report.figures.volume_curve import save_curve
    except ModuleNotFoundError:
        # Predicting alone comes without matplotlib; the numbers are in the JSON all the same.
        return
    save_curve(answer, folder / "curve")
