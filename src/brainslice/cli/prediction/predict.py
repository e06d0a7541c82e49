"""``brainslice predict``: scans become answers, without any training library."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainslice.cli.console import print_json, print_line, print_note, progress_bars
from brainslice.cli.options import Root
from brainslice.cli.prediction.options import (
    AsJson,
    BundleFolder,
    DicomFolder,
    Draws,
    Frame,
    Listing,
    Overlays,
    Overwrite,
    PointName,
    PredictOptions,
    Scans,
    Table,
    Threshold,
    Views,
    print_model,
    verdict_style,
)
from brainslice.errors import UnreadableScanError, UsageError
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.lazy import require_extra
from brainslice.progress import silent
from brainslice.scan.listing import SkippedFiles

if TYPE_CHECKING:
    from brainslice.inference.predictor import Predictor

Each = Callable[[Path, Prediction], None]

_LONGEST_STEM: Final = 180


def predict(
    scans: Scans = None,
    root: Root = Path(),
    bundle: BundleFolder = None,
    threshold: Threshold = None,
    gradcam: Overlays = None,
    as_json: AsJson = False,
    listed: Listing = None,
    output: Table = None,
    overwrite: Overwrite = False,
    dicom_folder: DicomFolder = None,
    operating_point: PointName = None,
    views: Views = False,
    dropout: Draws = None,
    frame: Frame = None,
) -> None:
    """Classify scans.

    Probabilities are calibrated; a file that cannot be read is refused with a reason and does not stop the rest.
    """
    from brainslice.inference.default_bundle import open_bundle_or_default
    from brainslice.inference.predictor import Predictor

    asked = PredictOptions(threshold, operating_point, views, dropout)
    asked.check_resumable(output, overwrite)
    places = _places(scans, listed)
    predictor = replace(
        asked.of(Predictor.open(bundle or open_bundle_or_default(root), threshold=threshold)), frame=frame
    )
    print_model(predictor)
    each = _everything([*_overlays(gradcam, output), *_dicom(dicom_folder, predictor)])
    if output is not None:
        rows, refused = _write_table(predictor, places, output, overwrite, each)
    else:
        rows, refused = _print_all(predictor, places, as_json, each)
    if not as_json:
        print_note("for research only; a person qualified to read scans decides")
    if refused:
        predicted = f"; {rows - refused} were predicted" if rows > refused else ""
        msg = f"{refused} of {rows} files could not be read{predicted}"
        raise UnreadableScanError(msg)


def _places(scans: list[Path] | None, listed: str | None) -> Iterable[Path]:
    from brainslice.tables.scan_listing import ListedScan, list_paths

    if bool(scans) == (listed is not None):
        msg = "predict needs scans, folders, or a --list of them, and not both; brainslice predict --help"
        raise UsageError(msg)
    if listed is None:
        return scans or []
    # What comes through a pipe can be read once only, so nobody knows how much there is.
    return list_paths(sys.stdin) if listed == "-" else ListedScan(Path(listed))


def _write_table(
    predictor: Predictor, places: Iterable[Path], output: Path, overwrite: bool, each: Each
) -> tuple[int, int]:
    from brainslice.tables.table import predict_tree

    with progress_bars() as progress:
        tally = predict_tree(predictor, places, output, overwrite=overwrite, each=each, progress=progress)
    if tally.mended:
        print_note(f"{output}: an earlier run had left half a line; it was cut off, and its scan answered again")
    kept = f", {tally.kept:,} of them there before" if tally.kept else ""
    _report_skipped(tally.skipped)
    print_line(f"{output}: {tally.rows:,} rows{kept}; {tally.refused:,} refused")
    return tally.rows, tally.refused


def _print_all(predictor: Predictor, places: Iterable[Path], as_json: bool, each: Each) -> tuple[int, int]:
    from brainslice.tables.columns import row_of
    from brainslice.tables.table import answers

    rows, refused, skipped = 0, 0, SkippedFiles()
    with nullcontext(silent) if _is_one_file(places) else progress_bars() as progress:
        for path, answer in answers(predictor, places, progress, skipped=skipped):
            rows += 1
            refused += isinstance(answer, Refusal)
            if isinstance(answer, Prediction):
                each(path, answer)
            if as_json:
                print_json("prediction", row_of(path, answer, predictor))
            else:
                _tell(path, answer)
    _report_skipped(skipped.summary)
    return rows, refused


def _report_skipped(summary: str) -> None:
    if summary:
        print_note(summary)


def _is_one_file(places: Iterable[Path]) -> bool:
    from brainslice.scan.files import is_folder

    return isinstance(places, Sequence) and len(places) == 1 and not is_folder(places[0])


def _everything(wanted: Sequence[Each]) -> Each:
    def each(path: Path, answer: Prediction) -> None:
        for write in wanted:
            write(path, answer)

    return each


def _overlays(folder: Path | None, output: Path | None) -> list[Each]:
    from brainslice.dataset.discovery.install import unused_name
    from brainslice.inference.overlay import save_overlay
    from brainslice.tables.scan_listing import display_path, fingerprint

    taken = set[str]()

    def write(path: Path, answer: Prediction) -> None:
        name = f"{_stem(path)}_{answer.predicted_class or answer.verdict.value}"
        if output is None:
            # Scans of two folders may share a name; both overlays are kept.
            name = unused_name(f"{name}.png", taken)
        else:
            # A run that goes on must neither overwrite nor repeat what the one before it drew.
            name = f"{name}_{fingerprint(display_path(path)).hex()[:8]}.png"
        save_overlay(answer, (folder or Path()) / name)

    return [] if folder is None else [write]


def _dicom(folder: Path | None, predictor: Predictor) -> list[Each]:
    if folder is None:
        return []
    require_extra("dicom-out", "--dicom-out", "highdicom")
    from brainslice.dicom_export.writer import write_dicom
    from brainslice.tables.scan_listing import display_path, fingerprint

    def write(path: Path, answer: Prediction) -> None:
        stem = folder / f"{_stem(path)}_{fingerprint(display_path(path)).hex()[:8]}"
        try:
            written = write_dicom(predictor, path, answer, stem)
        except UnreadableScanError as error:
            print_note(f"{display_path(path)}: no DICOM report was written: {error}")
            return
        if len(written) < len(("report", "map")):
            what = "a report without a map was written: it does not say where it lies"
            print_note(f"{display_path(path)}: {what if written else 'no DICOM file, so no DICOM report was written'}")

    return [write]


def _stem(path: Path) -> str:
    """Shorten a name so that what is added to it still fits: file systems take 255 bytes at most."""
    return os.fsencode(path.stem)[:_LONGEST_STEM].decode("utf-8", "ignore")


def _tell(path: Path, answer: Prediction | Refusal) -> None:
    from brainslice.tables.scan_listing import display_path

    if isinstance(answer, Refusal):
        print_note(answer.reason)
        return
    print_line(f"{display_path(path)}: {_verdict(answer)}", style=verdict_style(answer.verdict))
    warnings = f"  [{', '.join(answer.warnings)}]" if answer.warnings else ""
    print_line(f"  P(tumour) {answer.tumour_probability:.3f}, threshold {answer.threshold:g}{warnings}")
    if not answer.rejected:
        for name, share in sorted(answer.probabilities.items(), key=lambda each: -each[1]):
            print_line(f"  {name:<16} {share:.3f}")
    if answer.mutual_information is not None:
        print_line(f"  entropy {answer.entropy:.3f}, mutual information {answer.mutual_information:.3f} nats")


def _verdict(answer: Prediction) -> str:
    if answer.reasons:
        return f"{answer.verdict.value} to a person: {'; '.join(reason.message for reason in answer.reasons)}"
    return f"{answer.verdict.value}, {answer.predicted_class}"
