"""Options of ``brainslice predict``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.cli.console import print_note
from brainslice.decision.operating_point import find_point
from brainslice.decision.verdict import Verdict
from brainslice.errors import UsageError

if TYPE_CHECKING:
    from brainslice.inference.predictor import Predictor

Scans: TypeAlias = Annotated[list[Path] | None, typer.Argument(help="Image files, or folders of them, to any depth.")]
BundleFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--bundle", help="The bundle's folder; by default models/bundle of the project, or what ships."),
]
Threshold: TypeAlias = Annotated[
    float | None, typer.Option("--threshold", help="P(tumour) from which a scan is called a tumour.")
]
PointName: TypeAlias = Annotated[
    str | None,
    typer.Option("--operating-point", metavar="NAME", help="Use a threshold that brainslice threshold stored."),
]
Views: TypeAlias = Annotated[
    bool, typer.Option("--tta", help="Test-time augmentation: average six fixed views; six times as slow.")
]
Draws: TypeAlias = Annotated[
    int | None,
    typer.Option("--dropout", metavar="DRAWS", help="Measure uncertainty with that many Monte Carlo dropout draws."),
]
Overlays: TypeAlias = Annotated[
    Path | None, typer.Option("--gradcam", metavar="DIR", help="Write each scan with its heat map to this folder.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object a scan, one a line.")]
Frame: TypeAlias = Annotated[
    int | None, typer.Option("--frame", metavar="N", help="Which frame, page or axial slice of a file of several.")
]
Listing: TypeAlias = Annotated[
    str | None,
    typer.Option("--list", metavar="FILE", help="A text file with a path on each line; - reads standard input."),
]
Table: TypeAlias = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write a table, .jsonl, .csv or .parquet; it is gone on with."),
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Begin the table of --output anew.")]
DicomFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--dicom-out", metavar="DIR", help="Write a DICOM report and map for each DICOM scan."),
]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Options of the prediction.

    Attributes:
        threshold: P(tumour) from which a scan is called a tumour; None leaves it to the bundle.
        point: The name of an operating point to take it from.
        views: Whether to use test-time augmentation.
        draws: How many Monte Carlo dropout draws; None for none.
    """

    threshold: float | None = None
    point: str | None = None
    views: bool = False
    draws: int | None = None

    def __post_init__(self) -> None:
        """Refuse options that exclude each other."""
        if self.threshold is not None and self.point is not None:
            msg = f"--threshold {self.threshold:g} and --operating-point {self.point} exclude each other; give one"
            raise UsageError(msg)
        if self.views and self.draws is not None:
            msg = "--tta and --dropout exclude each other; give one of them"
            raise UsageError(msg)

    def check_resumable(self, table: Path | None, overwrite: bool) -> None:
        """Refuse to continue a table with other options.

        Raises:
            UsageError: An earlier table may have been made without these views or draws.
        """
        if table is not None and not overwrite and (self.views or self.draws is not None):
            option = "--tta" if self.views else "--dropout"
            msg = f"{table}: may hold answers without {option}, which must not be mixed; add --overwrite"
            raise UsageError(msg)

    def of(self, predictor: Predictor) -> Predictor:
        """Apply the options to a predictor.

        Raises:
            UsageError: The bundle has no such operating point, or dropout cannot be drawn from it.
        """
        from brainslice.inference.engines.mc_dropout import with_mc_dropout
        from brainslice.inference.engines.test_time_augmentation import with_test_time_augmentation

        if self.point is not None:
            predictor = replace(
                predictor, threshold=find_point(predictor.bundle.info.operating_points, self.point).threshold
            )
        if self.draws is not None:
            return with_mc_dropout(predictor, self.draws)
        if self.views:
            print_note(
                "--tta: the temperature was fitted without views, so probabilities are calibrated at best roughly"
            )
            return with_test_time_augmentation(predictor)
        return predictor


def verdict_style(verdict: Verdict) -> str:
    """Name the colour of a verdict on a terminal."""
    return {Verdict.TUMOUR: "bold red", Verdict.NO_TUMOUR: "bold green"}.get(verdict, "bold yellow")


def print_model(predictor: Predictor) -> None:
    """Name the bundle where it is the one that ships with the package."""
    from brainslice.inference.default_bundle import DEFAULT_BUNDLE

    info = predictor.bundle.info
    if predictor.bundle.folder == DEFAULT_BUNDLE:
        print_note(f"model: the bundle that ships with brainslice: {info.name} ({info.digest[:12]})")
