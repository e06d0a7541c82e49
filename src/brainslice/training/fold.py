"""One training of a cross-validation or an ensemble, done once however often it is asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment, assign_split, fold_count
from brainslice.errors import BundleError
from brainslice.files import write_json
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress
from brainslice.training.pipeline import train

_RECEIPT = "trained.json"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FoldRun:
    """A split of a set by two of its folds, and where what comes of it lies.

    Attributes:
        config: The settings of this fold.
        assignment: The scans, and which of them train, choose and test.
        paths: Folders of this fold's own.
        fingerprint: Digest of everything the training depends on.
    """

    config: Config
    assignment: SplitAssignment
    paths: ProjectPaths
    fingerprint: str


def plan_fold(
    root: Path, config: Config, manifest: Manifest, test_fold: int, validation_fold: int | None = None
) -> FoldRun:
    """Lay out the training that tests on one fold and chooses on another.

    Args:
        root: The project's folder.
        config: All settings; those about the split are set aside.
        manifest: The scans, dealt into folds.
        test_fold: The fold that tests.
        validation_fold: The fold that chooses; the one after the test fold unless told.

    Raises:
        UsageError: There is no such fold.
        DatasetError: A part would be empty, or a class would be missing from training.
    """
    folds = fold_count(manifest)
    data = config.data.model_copy(update={"protocol": "clean", "test_fold": test_fold, "folds": folds})
    config = config.model_copy(update={"data": data})
    division = assign_split(manifest, config, validation_fold)
    usual = validation_fold in {None, (test_fold + 1) % folds}
    name = f"fold_{test_fold}" if usual else f"fold_{test_fold}_chosen_on_{validation_fold}"
    places = ProjectPaths.of(root, config)
    mine = dataclasses.replace(
        places,
        models=root / "models" / "crossval" / name,
        reports=root / "reports" / "crossval" / name,
        logs=places.logs / "crossval" / name,
    )
    return FoldRun(config, division, mine, _fingerprint(config, division))


def train_once(fold: FoldRun, progress: Progress) -> ModelBundle:
    """Train a fold, unless this very training has left its bundle already.

    Raises:
        LeakError: The first weights saw the test scans.
        ResourceError: The disk is full; what was finished stays.
    """
    finished = _finished(fold)
    if finished is not None:
        return finished
    train(fold.paths, fold.config, division=fold.assignment, progress=progress)
    bundle = open_bundle(fold.paths.bundle)
    receipt = _Receipt(fingerprint=fold.fingerprint, graph=bundle.info.files[GRAPH_FILE])
    write_json(fold.paths.models / _RECEIPT, receipt.model_dump())
    return bundle


class _Receipt(BaseModel):
    """Which training left which graph; what a bundle says beside it may be amended later."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    graph: str


def _finished(fold: FoldRun) -> ModelBundle | None:
    try:
        receipt = _Receipt.model_validate_json((fold.paths.models / _RECEIPT).read_bytes())
        bundle = open_bundle(fold.paths.bundle)
    except (OSError, ValidationError, BundleError):
        # Whatever is missing or damaged here, training again puts it right.
        return None
    whole = receipt.fingerprint == fold.fingerprint and receipt.graph == bundle.info.files[GRAPH_FILE]
    return bundle if whole else None


def _fingerprint(config: Config, division: SplitAssignment) -> str:
    # Where things lie, and what happens after training, is no part of it.
    settings = config.model_dump(mode="json", exclude={"log", "inference", "adapt"})
    settings["data"] = config.data.model_dump(mode="json", exclude={"root", "external", "cache"})
    parts = [settings, division.manifest.digest, division.split.digest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
