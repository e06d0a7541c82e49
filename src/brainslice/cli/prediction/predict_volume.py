"""``brainslice predict-volume``: a head in three dimensions becomes an answer, and a curve over its slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from brainslice.cli.console import can_print, print_json, print_line, print_note
from brainslice.cli.options import Root
from brainslice.cli.prediction.options import BundleFolder, Threshold, print_model, verdict_style

if TYPE_CHECKING:
    from brainslice.inference.volume import VolumePrediction

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_DIGITS: Final = "012345678"


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
    gradcam: Annotated[
        Path | None,
        typer.Option("--gradcam", metavar="DIR", help="Write the slices that carry the answer with their heat maps."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the whole curve.")] = False,
) -> None:
    """Judge a volume slice by slice along the axial plane, and as a whole.

    Slices are calibrated, the probability of the whole is not; the model was trained on single slices.
    """
    from brainslice.inference.default_bundle import open_bundle_or_default
    from brainslice.inference.predictor import Predictor
    from brainslice.inference.volume import predict_volume
    from brainslice.scan.volume.reader import read_volume

    scan = read_volume(path, series=series, first=first)
    predictor = Predictor.open(bundle or open_bundle_or_default(root), threshold=threshold)
    print_model(predictor)
    answer = predict_volume(predictor, scan, path.name)
    if as_json:
        print_json("volume", answer.to_json())
    else:
        _tell(path, answer)
    if gradcam is not None:
        _draw(answer, gradcam)
    if not as_json:
        print_note("for research only; a person qualified to read scans decides")


def _tell(path: Path, answer: VolumePrediction) -> None:
    from brainslice.inference.volume import NOT_CALIBRATED

    marks = answer.slices[0].prediction.warnings
    marked = f" [{', '.join(marks)}]" if marks else ""
    numbers = [each.number for each in answer.decisive_slices]
    reasons = f" to a person: {'; '.join(reason.message for reason in answer.reasons)}" if answer.reasons else ""
    shares = "  ".join(f"{name} {share:.3f}" for name, share in answer.probabilities.items())
    print_line(
        f"{path}: {answer.verdict.value}{reasons}{marked}, at {answer.threshold:g}", verdict_style(answer.verdict)
    )
    print_line(f"  P(tumour) {answer.tumour_probability:.3f} ({NOT_CALIBRATED})")
    shown = "" if answer.predicted_class is None else f"{shares}, "
    print_line(f"  {shown}the mean of slices {numbers[0]} to {numbers[-1]} of {answer.total}")
    first, last = answer.slices[0].number, answer.slices[-1].number
    print_line(f"  slices {first} to {last}, inferior to superior: {_curve(answer)}")
    for told in answer.notes:
        print_line(f"  {told.message}")


def _curve(answer: VolumePrediction) -> str:
    blocks = _BLOCKS if can_print(_BLOCKS) else _DIGITS
    highest = len(_BLOCKS) - 1
    return "".join(blocks[round(highest * each.prediction.tumour_probability)] for each in answer.slices)


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
