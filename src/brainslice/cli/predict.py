"""``brainslice predict``: predict scans, without any training library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from brainslice.cli.console import RESEARCH_ONLY, print_error, print_json, print_line, print_note, progress_bars
from brainslice.cli.options import (
    AsJson,
    BundleFolder,
    Listing,
    Overwrite,
    Pseudonymise,
    RequiredSignature,
    Root,
    Scans,
    Threshold,
    case_names,
    open_predictor,
    paths_of,
)
from brainslice.cli.prediction_text import print_prediction, print_row
from brainslice.errors import UnreadableScanError, UsageError
from brainslice.lazy import require_extra
from brainslice.progress import silent

if TYPE_CHECKING:
    from brainslice.inference import Prediction, Predictor
    from brainslice.remote import ScanPath
    from brainslice.tables import CaseNames, TableOptions

PointName: TypeAlias = Annotated[
    str | None, typer.Option("--operating-point", metavar="NAME", help="Use a stored operating point's threshold.")
]
Views: TypeAlias = Annotated[
    bool, typer.Option("--tta", help="Test-time augmentation: average six fixed views; six times as slow.")
]
Draws: TypeAlias = Annotated[
    int | None, typer.Option("--dropout", metavar="DRAWS", help="Measure uncertainty with Monte Carlo dropout.")
]
Overlays: TypeAlias = Annotated[
    Path | None, typer.Option("--gradcam", metavar="DIR", help="Write each scan with its heat map to this folder.")
]
Frame: TypeAlias = Annotated[
    int | None, typer.Option("--frame", metavar="N", help="Which frame, page or axial slice of a file of several.")
]
Table: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Write a .jsonl, .csv or .parquet table; resumes an interrupted one."
    ),
]
Part: TypeAlias = Annotated[
    str | None,
    typer.Option("--part", metavar="I/N", help="Only part I of N of the scans, to the table OUTPUT-I-of-N."),
]
DicomFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--dicom-out", metavar="DIR", help="Write a DICOM report and map for each DICOM scan.")
]

Each: TypeAlias = "Callable[[ScanPath, Prediction], None]"

_MAX_STEM_LENGTH: Final = 180


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Options of the prediction.

    Attributes:
        threshold: P(tumour) from which a scan is predicted as a tumour; None for the bundle's.
        point: The name of an operating point to take it from.
        views: Whether to use test-time augmentation.
        draws: How many Monte Carlo dropout draws; None for none.
    """

    threshold: float | None = None
    point: str | None = None
    views: bool = False
    draws: int | None = None

    def __post_init__(self) -> None:
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
            msg = f"{table}: may hold predictions without {option}, which must not be mixed; add --overwrite"
            raise UsageError(msg)

    def of(self, predictor: Predictor) -> Predictor:
        """Apply the options to a predictor.

        Raises:
            UsageError: The bundle has no such operating point, or dropout cannot be drawn from it.
        """
        from brainslice.decision import find_point
        from brainslice.inference import with_mc_dropout, with_test_time_augmentation

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


def predict(
    scans: Scans = None,
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    gradcam: Overlays = None,
    as_json: AsJson = False,
    listed: Listing = None,
    output: Table = None,
    part: Part = None,
    overwrite: Overwrite = False,
    dicom_folder: DicomFolder = None,
    operating_point: PointName = None,
    views: Views = False,
    dropout: Draws = None,
    frame: Frame = None,
    require_signature: RequiredSignature = None,
    pseudonymise: Pseudonymise = None,
) -> None:
    """Classify scans.

    Probabilities are calibrated; a file that cannot be read is refused with a reason and does not stop the rest.
    """
    options = PredictOptions(threshold, operating_point, views, dropout)
    names = case_names(pseudonymise, scans)
    paths, output = _share(part, paths_of(scans, listed), output, names)
    options.check_resumable(output, overwrite)
    predictor = replace(options.of(open_predictor(root, bundle, threshold, key=require_signature)), frame=frame)
    each = _call_all([*_overlays(gradcam, output), *_dicom(dicom_folder, predictor, names)])
    if output is not None:
        from brainslice.tables import TableOptions

        rows, refused = _write_table(predictor, paths, output, TableOptions(overwrite, names, each))
    else:
        rows, refused = _print_all(predictor, paths, names, as_json, each)
    if not as_json:
        print_note(RESEARCH_ONLY)
    if refused:
        predicted = f"; {rows - refused} were predicted" if rows > refused else ""
        msg = f"{refused} of {rows} files could not be read{predicted}"
        raise UnreadableScanError(msg)


def _share(
    part: str | None, paths: Iterable[ScanPath], output: Path | None, names: CaseNames
) -> tuple[Iterable[ScanPath], Path | None]:
    """Select a part of the scans, and name its table."""
    from brainslice.tables import ArchivePart

    if part is None:
        return paths, output
    if output is None:
        msg = "--part needs --output, beside which the table of the part is written"
        raise UsageError(msg)
    share = ArchivePart.parse(part)
    return share.select(paths, anonymous=names.key is not None), share.table(output)


def _write_table(
    predictor: Predictor, paths: Iterable[ScanPath], output: Path, options: TableOptions
) -> tuple[int, int]:
    from brainslice.tables import predict_tree

    with progress_bars() as progress:
        table = predict_tree(predictor, paths, output, options, progress)
    if table.repaired:
        print_note(f"{output}: the incomplete last line of an earlier run was removed, and its scan predicted again")
    kept = f", {table.kept:,} of them there before" if table.kept else ""
    if table.skipped:
        print_note(table.skipped)
    print_line(f"{output}: {table.rows:,} rows{kept}; {table.refused:,} refused")
    return table.rows, table.refused


def _print_all(
    predictor: Predictor, paths: Iterable[ScanPath], names: CaseNames, as_json: bool, each: Each
) -> tuple[int, int]:
    from brainslice.inference import Prediction, Refusal
    from brainslice.tables import predict_paths, row_of

    rows, refused, skipped = 0, 0, names.skipped_files()
    alone = _is_one_file(paths)
    with nullcontext(silent) if alone else progress_bars(rows=True) as progress:
        for path, answer in predict_paths(predictor, paths, progress, skipped=skipped, names=names):
            rows += 1
            refused += isinstance(answer, Refusal)
            if isinstance(answer, Prediction):
                each(path, answer)
            if as_json:
                print_json("prediction", row_of(path, answer, predictor))
            elif isinstance(answer, Refusal):
                print_error(answer.reason)
            elif alone:
                print_prediction(path, answer)
            else:
                print_row(path, answer)
    if skipped.summary:
        print_note(skipped.summary)
    return rows, refused


def _is_one_file(paths: Iterable[ScanPath]) -> bool:
    from brainslice.tables import is_searched

    return isinstance(paths, Sequence) and len(paths) == 1 and not is_searched(paths[0])


def _call_all(wanted: Sequence[Each]) -> Each:
    def each(path: ScanPath, answer: Prediction) -> None:
        for write in wanted:
            write(path, answer)

    return each


def _overlays(folder: Path | None, output: Path | None) -> list[Each]:
    from brainslice.dataset import unused_name
    from brainslice.inference import save_overlay
    from brainslice.tables import display_path, fingerprint

    taken = set[str]()

    def write(path: ScanPath, answer: Prediction) -> None:
        name = f"{_stem(path)}_{answer.predicted_class or answer.verdict.value}"
        if output is None:
            # Scans of two folders may share a name; both overlays are kept.
            name = unused_name(f"{name}.png", taken)
        else:
            # A resumed run must neither overwrite nor repeat the overlays of the one before it.
            name = f"{name}_{fingerprint(display_path(path)).hex()[:8]}.png"
        save_overlay(answer, (folder or Path()) / name)

    return [] if folder is None else [write]


def _dicom(folder: Path | None, predictor: Predictor, names: CaseNames) -> list[Each]:
    if folder is None:
        return []
    require_extra("dicom-out", "--dicom-out", "highdicom")
    if names.key is not None:
        msg = "--pseudonymise and --dicom-out exclude each other: DICOM objects name the patient"
        raise UsageError(msg)
    from brainslice.dicom_export import write_dicom
    from brainslice.remote import RemoteFile
    from brainslice.tables import display_path, fingerprint

    def write(path: ScanPath, answer: Prediction) -> None:
        if isinstance(path, RemoteFile):
            print_note(f"{path}: no DICOM report was written: it needs a file of this machine")
            return
        stem = folder / f"{_stem(path)}_{fingerprint(display_path(path)).hex()[:8]}"
        try:
            written = write_dicom(predictor, path, answer, stem)
        except UnreadableScanError as error:
            print_note(f"{display_path(path)}: no DICOM report was written: {error}")
            return
        if len(written) < len(("report", "map")):
            what = "a report without a map was written: the scan has no position"
            print_note(f"{display_path(path)}: {what if written else 'no DICOM file, so no DICOM report was written'}")

    return [write]


def _stem(path: ScanPath) -> str:
    """Shorten a name so that a suffix still fits: file systems take 255 bytes at most."""
    return os.fsencode(path.stem)[:_MAX_STEM_LENGTH].decode("utf-8", "ignore")
