"""``brainslice predict``: scans become answers, without any training library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import note, say, watching
from brainslice.cli.options import Root
from brainslice.errors import UnreadableScanError, UsageError
from brainslice.infer.prediction import Prediction, Refusal
from brainslice.progress import silent


def predict(
    scans: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    root: Root = Path(),
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="The bundle's folder; models/bundle of the project by default."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="P(tumour) from which a scan is called a tumour.")
    ] = None,
    gradcam: Annotated[
        Path | None,
        typer.Option("--gradcam", metavar="DIR", help="Write each scan with its heat map to this folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a scan, one a line.")] = False,
) -> None:
    """Classify scans.

    Probabilities are calibrated; a file that cannot be read is refused with a reason and does not stop the rest.
    """
    from brainslice.cohort.placing import free_name
    from brainslice.infer.overlay import save_overlay
    from brainslice.infer.predictor import Predictor

    paths = list(_files(scans))
    predictor = Predictor.open(bundle or root / "models" / "bundle", threshold=threshold)
    refused, taken = 0, set[str]()
    with watching() if len(paths) > 1 else nullcontext(silent) as progress:
        for path, answer in zip(paths, predictor.predict_many(paths, progress), strict=True):
            if isinstance(answer, Refusal):
                refused += 1
            elif gradcam is not None:
                # Scans of two folders may share a name; both overlays are kept.
                save_overlay(answer, gradcam / free_name(f"{path.stem}_{answer.predicted}.png", taken))
            _tell(path, answer, as_json)
    if not as_json:
        note("for research only; a person qualified to read scans decides")
    if refused:
        msg = f"{refused} of {len(paths)} files could not be read; all others were predicted"
        raise UnreadableScanError(msg)


def _files(places: list[Path]) -> Iterator[Path]:
    from brainslice.scan.read import SCAN_SUFFIXES

    for place in places:
        if not place.is_dir():
            yield place
            continue
        found = sorted(path for path in place.rglob("*") if path.suffix.casefold() in SCAN_SUFFIXES and path.is_file())
        if not found:
            msg = f"{place}: holds no scans; endings looked for are {', '.join(sorted(SCAN_SUFFIXES))}"
            raise UsageError(msg)
        yield from found


def _tell(path: Path, answer: Prediction | Refusal, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer.to_json(), ensure_ascii=False))
    elif isinstance(answer, Refusal):
        note(answer.reason)
    else:
        verdict = "tumour" if answer.tumour else "no tumour"
        marks = f" [{', '.join(answer.marks)}]" if answer.marks else ""
        shares = "  ".join(f"{name} {share:.3f}" for name, share in answer.probabilities.items())
        say(
            f"{path}: {answer.predicted}{marks}  |  {shares}  |  P(tumour) {answer.tumour_probability:.3f}, "
            f"{verdict} at {answer.threshold:g}"
        )
