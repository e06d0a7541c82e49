"""Functions for data sets: download, prepare, audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.api.settings import AnyPath, Settings, open_project, read_settings
from brainslice.paths import writes_project
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.dataset import AuditReport, ExternalSet, Manifest, PreparedDataset


@writes_project("downloading")
def download(name: str, root: AnyPath = ".", *, progress: Progress = silent) -> Path:
    """Download a public data set from Kaggle in a pinned version; return its folder ``downloads/<name>``.

    Args:
        name: ``nickparvar`` (four classes) or ``navoneel`` (yes and no).
        root: The project's folder.
        progress: Called with step, done and total.

    Raises:
        UsageError: There is no set of that name.
        MissingExtraError: kagglehub is not installed.
        DownloadError: The download failed.
    """
    from brainslice.dataset import download as fetch

    return fetch(name, Path(root) / "downloads" / name, progress)


def prepare(
    source: AnyPath,
    root: AnyPath = ".",
    *,
    config: Settings = None,
    val_size: float | None = None,
    labels: AnyPath | None = None,
    copy: bool = False,
    progress: Progress = silent,
) -> PreparedDataset:
    """Prepare a data set for training: normalise class names, group related scans, split.

    Args:
        source: A folder or zip: Training/Testing, train/val/test, or class folders.
        root: The project's folder.
        config: The settings.
        val_size: The share of the training scans that validates in the official split; ``data.valid_split`` where None.
        labels: A table with the columns path and label, in place of class folders.
        copy: Copy the scans instead of linking to them.
        progress: Called with step, done and total.

    Raises:
        DatasetError: The source is not a data set of these classes.
        UsageError: A share or the number of folds is out of range.
    """
    from brainslice.dataset import PreparationOptions, prepare_dataset

    labels_table = None if labels is None else Path(labels)
    options = PreparationOptions.of(
        read_settings(root, config), val_size=val_size, copy=copy, labels_table=labels_table
    )
    return prepare_dataset(Path(source), Path(root), options, progress)


def prepare_external(source: AnyPath, root: AnyPath = ".", *, progress: Progress = silent) -> ExternalSet:
    """Prepare another site's set with the folders ``yes`` and ``no`` as ``data/external_navoneel``.

    Args:
        source: A folder or an archive.
        root: The project's folder.
        progress: Called with step, done and total.

    Raises:
        DatasetError: One of the two folders is missing, or has no readable files.
    """
    from brainslice.dataset import prepare_external as prepare_site

    return prepare_site(Path(source), Path(root), progress=progress)


@writes_project("excluding scans")
def exclude_overlap(
    folder: AnyPath, root: AnyPath = ".", *, config: Settings = None, progress: Progress = silent
) -> Manifest:
    """Exclude the groups of another site's scans from training and validation, until the set is prepared again.

    Args:
        folder: The other site's folder.
        root: The project's folder.
        config: The settings.
        progress: Called with step, done and total.

    Returns:
        The manifest, with the excluded scans.

    Raises:
        DatasetError: There is no prepared set, or the folder holds no classes.
    """
    from brainslice.dataset import Manifest
    from brainslice.dataset import exclude_overlap as find_exclusion

    _, paths = open_project(root, config)
    manifest = find_exclusion(Manifest.read(paths.data), Path(folder), paths.cache, progress)
    if manifest.exclusion is not None:
        manifest.exclusion.write(paths.data)
    return manifest


def audit(folder: AnyPath, against: AnyPath | None = None, *, progress: Progress = silent) -> AuditReport:
    """Find duplicates, leaks across splits, unreadable files and shortcuts in a data set.

    Args:
        folder: A folder of scans: with splits, with classes, or flat.
        against: Another folder; scans that are in both are listed.
        progress: Called with step, done and total.

    Raises:
        DatasetError: The folder holds no scans.
    """
    from brainslice.dataset import audit_folder

    return audit_folder(Path(folder), None if against is None else Path(against), progress)
