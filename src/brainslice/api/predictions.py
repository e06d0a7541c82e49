"""Predictions for volumes and for many scans."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainslice.api.settings import AnyPath
from brainslice.inference import Prediction, Refusal, ScanSource
from brainslice.lazy import require_extra
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

    from brainslice.inference import Predictor, VolumePrediction
    from brainslice.tables import TableSummary


class Predictions(list[Prediction | Refusal]):
    """The results for several scans, in their order; a list with a table view."""

    def to_dataframe(self) -> pd.DataFrame:
        """Convert to a pandas data frame, a row for each scan and a column for each class probability.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        require_extra("pandas", "to_dataframe()", "pandas")
        import pandas as pd

        return pd.DataFrame([_row(each) for each in self])

    def __repr__(self) -> str:
        """Show how many scans were predicted and refused."""
        refused = sum(isinstance(each, Refusal) for each in self)
        return f"<Predictions of {len(self) - refused} scans, {refused} refused>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(each.source)}</td><td>{html.escape(_summary(each))}</td></tr>" for each in self
        )
        return f"<table><tr><th>scan</th><th>result (research use only)</th></tr>{rows}</table>"


def predict_many(
    scans: ScanSource | Iterable[ScanSource],
    *,
    bundle: AnyPath | None = None,
    threshold: float | None = None,
    progress: Progress = silent,
) -> Predictions:
    """Predict many scans; one that cannot be read becomes a ``Refusal``.

    Args:
        scans: Files, folders of them to any depth, arrays ``(h, w)``, PIL images or bytes of files.
        bundle: The bundle; the one that ships with the package where None.
        threshold: P(tumour) from which a scan is predicted as a tumour; the bundle's own where None.
        progress: Called with step, done and total.

    Raises:
        UsageError: A folder holds no scans.
        BundleError: The bundle is incomplete or altered.
    """
    from brainslice.tables import list_scans

    given = [scans] if isinstance(scans, ScanSource) else scans
    listed: list[ScanSource] = []
    for scan in given:
        listed.extend(list_scans([Path(scan)]) if isinstance(scan, str | Path) else [scan])
    predictor = _open(bundle, threshold)
    return Predictions(predictor.predict_many(listed, progress))


def predict_tree(
    predictor: Predictor,
    scans: Iterable[AnyPath],
    output: AnyPath,
    *,
    overwrite: bool = False,
    pseudonym_key: bytes | None = None,
    progress: Progress = silent,
) -> TableSummary:
    """Predict all scans in files and folders and write a table with a row for each; an interrupted one is continued.

    Args:
        predictor: The predictor.
        scans: Files, and folders of them to any depth.
        output: The table, ``.jsonl``, ``.csv`` or ``.parquet``.
        overwrite: Replace an existing table.
        pseudonym_key: Name scans by pseudonyms made with this key, instead of paths.
        progress: Called with step, done and total.

    Raises:
        UsageError: The ending is none of those, pyarrow is missing, a folder holds no scans, or the table holds other
            rows.
        ResourceError: The disk is full.
    """
    from brainslice.tables import CaseNames, TableOptions
    from brainslice.tables import predict_tree as write_table

    paths = [Path(each) for each in scans]
    options = TableOptions(overwrite, CaseNames(pseudonym_key, tuple(paths)))
    return write_table(predictor, paths, Path(output), options, progress)


def predict_volume(
    path: AnyPath,
    *,
    bundle: AnyPath | None = None,
    threshold: float | None = None,
    series: str | None = None,
    first: bool = False,
) -> VolumePrediction:
    """Predict a volume slice by slice along the axial plane, and as a whole.

    Args:
        path: A NIfTI file, a DICOM file of many frames, a folder of DICOM files, or an archive of either.
        bundle: The bundle; the one that ships with the package where None.
        threshold: P(tumour) from which a slice is predicted as a tumour; the bundle's own where None.
        series: Which of several DICOM series in the folder.
        first: Take the first of several volumes.

    Raises:
        UnreadableScanError: The path cannot be read as one volume.
        BundleError: The bundle is incomplete or altered.
    """
    from brainslice.dataset import unpacked
    from brainslice.inference import predict_volume as predict
    from brainslice.scan import read_volume

    with unpacked(Path(path)) as folder:
        volume = read_volume(folder, series=series, first=first)
    return predict(_open(bundle, threshold), volume, Path(path).name)


def _open(bundle: AnyPath | None, threshold: float | None) -> Predictor:
    from brainslice.inference import Predictor

    return Predictor.open(bundle, threshold=threshold)


def _row(result: Prediction | Refusal) -> dict[str, Any]:
    row: dict[str, Any] = dict(result.to_json())
    probabilities = row.pop("probabilities", {})
    row |= {f"probability_{name}": share for name, share in probabilities.items()}
    row |= {name: [each["code"] for each in row.get(name, ())] for name in ("reasons", "remarks")}
    return row


def _summary(result: Prediction | Refusal) -> str:
    return result.reason if isinstance(result, Refusal) else repr(result)[1:-1].partition(": ")[2]
