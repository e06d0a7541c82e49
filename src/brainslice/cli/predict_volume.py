"""``brainslice predict-volume``: predict volumes and each of their slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.cli.console import RESEARCH_ONLY, print_error, print_json, print_note
from brainslice.cli.options import BundleFolder, RequiredSignature, Root, Threshold, open_predictor
from brainslice.cli.prediction_text import print_volume
from brainslice.errors import UnreadableScanError
from brainslice.lazy import require_extra

if TYPE_CHECKING:
    from brainslice.inference import Predictor, VolumePrediction

Volumes: TypeAlias = Annotated[
    list[Path],
    typer.Argument(
        help="NIfTI files, DICOM files of many frames, folders of DICOM files, or archives of them.", metavar="PATH..."
    ),
]
Overlays: TypeAlias = Annotated[
    Path | None, typer.Option("--gradcam", metavar="DIR", help="Write the decisive slices with their heat maps.")
]
DicomFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--dicom-out", metavar="DIR", help="Write a DICOM report, map and key image of the series."),
]


@dataclass(frozen=True, slots=True)
class _Choices:
    """Which of several volumes to take, the folder of overlays, and how the paths of DICOM files begin."""

    series: str | None
    first: bool
    gradcam: Path | None
    dicom: Path | None


def predict_volume(
    paths: Volumes,
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a volume with the whole curve.")
    ] = False,
    require_signature: RequiredSignature = None,
) -> None:
    """Predict volumes slice by slice along the axial plane, and as a whole.

    The probabilities of slices are calibrated, that of the volume is not; the model was trained on single slices.
    """
    from brainslice.dataset import unused_name

    if dicom_folder is not None:
        require_extra("dicom-out", "--dicom-out", "highdicom")
    predictor = open_predictor(root, bundle, threshold, key=require_signature)
    refused, names = 0, set[str]()
    for path in paths:
        name = unused_name(path.stem or "series", names)
        overlays = gradcam if gradcam is None or len(paths) == 1 else gradcam / name
        reports = None if dicom_folder is None else dicom_folder / name
        try:
            _predict_one(predictor, path, _Choices(series, first, overlays, reports), as_json)
        except UnreadableScanError as error:
            if len(paths) == 1:
                raise
            refused += 1
            _print_refusal(path, error, as_json)
    if not as_json:
        print_note(RESEARCH_ONLY)
    if refused:
        msg = f"{refused} of {len(paths)} volumes could not be predicted"
        raise UnreadableScanError(msg)


def _predict_one(predictor: Predictor, path: Path, choices: _Choices, as_json: bool) -> None:
    from brainslice.dataset import unpacked
    from brainslice.inference import predict_volume
    from brainslice.scan import read_volume

    with unpacked(path) as folder:
        scan = read_volume(folder, series=choices.series, first=choices.first)
        answer = predict_volume(predictor, scan, path.name)
        if as_json:
            print_json("volume", answer.to_json())
        else:
            print_volume(path, answer)
        if choices.gradcam is not None:
            _draw(answer, choices.gradcam)
        if choices.dicom is not None:
            from brainslice.dicom_export import write_volume_dicom

            if not write_volume_dicom(predictor, folder, scan, answer, choices.dicom):
                print_note(f"{path}: no DICOM file, so no DICOM report was written")


def _print_refusal(path: Path, error: UnreadableScanError, as_json: bool) -> None:
    from brainslice.inference import Refusal

    if as_json:
        print_json("volume", Refusal(path.name, str(error)).to_json())
    else:
        print_error(str(error))


def _draw(answer: VolumePrediction, folder: Path) -> None:
    from brainslice.inference import save_overlay

    for each in answer.decisive_slices:
        save_overlay(
            each.prediction,
            folder / f"slice_{each.number:03d}_{each.prediction.predicted_class or each.prediction.verdict.value}.png",
        )
    try:
        from brainslice.report import save_curve
    except ModuleNotFoundError:
        # Predicting alone comes without matplotlib; the numbers are in the JSON all the same.
        return
    save_curve(answer, folder / "curve")
