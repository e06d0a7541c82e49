"""What a person may ask of ``brainslice predict``: its options, and the predictor that answers as they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.cli.console import print_note
from brainslice.decision.operating_point import find_point
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
    bool, typer.Option("--tta", help="Look at each scan in six fixed views and average; six times as slow.")
]
Draws: TypeAlias = Annotated[
    int | None,
    typer.Option("--dropout", metavar="DRAWS", help="Ask that many thinned networks too, how far they disagree."),
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
    """How scans are to be judged.

    Attributes:
        threshold: P(tumour) from which a scan is called a tumour; None leaves it to the bundle.
        point: The name of an operating point to take it from.
        views: Whether each scan is looked at in several views.
        draws: How many thinned networks are asked too; None for none.
    """

    threshold: float | None = None
    point: str | None = None
    views: bool = False
    draws: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant together."""
        if self.threshold is not None and self.point is not None:
            msg = f"--threshold {self.threshold:g} and --operating-point {self.point} say different things; give one"
            raise UsageError(msg)
        if self.views and self.draws is not None:
            msg = "--tta and --dropout each ask the network in their own way; give one of them"
            raise UsageError(msg)

    def check_resumable(self, table: Path | None, overwrite: bool) -> None:
        """Let no table hold answers to two different questions.

        Raises:
            UsageError: An earlier table may have been made without these views or draws.
        """
        if table is not None and not overwrite and (self.views or self.draws is not None):
            option = "--tta" if self.views else "--dropout"
            msg = f"{table}: may hold answers without {option}, which must not be mixed; add --overwrite"
            raise UsageError(msg)

    def of(self, predictor: Predictor) -> Predictor:
        """Let a predictor answer as it is asked.

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


def print_model(predictor: Predictor) -> None:
    """Say so where the bundle that ships answers: nobody named it, and nobody trained it here."""
    from brainslice.inference.default_bundle import DEFAULT_BUNDLE

    info = predictor.bundle.info
    if predictor.bundle.folder == DEFAULT_BUNDLE:
        print_note(f"answered by the bundle that ships with brainslice: {info.name} ({info.digest[:12]})")
