"""Combine several networks into one bundle that averages their logits."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.bundle import (
    CARD_FILE,
    GRAPH_FILE,
    IMPORTED,
    BundleDraft,
    BundleInfo,
    Ensemble,
    GraphParity,
    Member,
    ModelBundle,
    Provenance,
    StoredConformalSets,
    StoredOodDetector,
    Validation,
    open_bundle,
    render_model_card,
    write_bundle,
)
from brainslice.config import Config
from brainslice.dataset import Manifest, SplitAssignment, decode_scans, fold_count, join_splits, reassign_split
from brainslice.decision import DETECTOR_FILE, Temperature
from brainslice.errors import DatasetError, UsageError
from brainslice.evaluation import member_split
from brainslice.files import write_text
from brainslice.models import pack_graphs
from brainslice.paths import ProjectPaths, writes_project
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress, silent
from brainslice.training.bundle import library_versions
from brainslice.training.calibration import (
    calibrate,
    detector_scans,
    fit_detector,
    fit_prediction_sets,
    validation_of,
)
from brainslice.training.cross_validation import plan_fold, train_in_processes, train_once
from brainslice.training.ensemble_scoring import (
    HeldOutData,
    compare_graphs,
    folder_scans,
    held_out_scans,
    score_members,
)

_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class EnsembleResult:
    """An ensemble, the joint split of its members, and remarks on its calibration."""

    bundle: ModelBundle
    assignment: SplitAssignment
    notes: tuple[str, ...]


@writes_project("training an ensemble")
def train_members(
    root: Path, config: Config, progress: Progress = silent, *, workers: int = 0, engine: str = "local"
) -> tuple[Path, ...]:
    """Train one network for each fold except the test fold, validated on that fold and trained on the others.

    Members that were trained before, also as a fold of ``crossval``, are reused.

    Args:
        root: The project's folder, with a prepared set.
        config: All settings.
        progress: Called with the step and how far it is.
        workers: How many members train at a time, each in a process of its own; 0 trains in this process.
        engine: Where these processes run, one of ``engine.ENGINES``.

    Returns:
        The members' bundles, the one validated on the fold after the test fold first.

    Raises:
        DatasetError: There is no prepared set.
        ResourceError: The disk is full, or a process was killed; finished members and epochs are kept.
    """
    manifest = reassign_split(Manifest.read(ProjectPaths.of(root, config).data), config.data.folds, config.seed)
    folds, test = fold_count(manifest), config.data.test_fold
    members = [plan_fold(root, config, manifest, test, (test + step) % folds) for step in range(1, folds)]
    train_in_processes(members, workers, progress, engine)
    bundles = []
    for number, member in enumerate(members):
        progress("training members", number, len(members))
        bundles.append(train_once(member, progress).folder)
    progress("training members", len(members), len(members))
    return tuple(bundles)


def build_ensemble(
    sources: Sequence[Path],
    output: Path,
    paths: ProjectPaths,
    config: Config,
    progress: Progress = silent,
    *,
    calibration_folder: Path | None = None,
) -> EnsembleResult:
    """Combine bundles into one that averages their logits.

    The temperature is fitted on validation scans that trained no member. Where there are none, every validation scan
    is scored by the members that it did not train: an approximation, since the ensemble averages more networks.

    Args:
        sources: At least two bundles of different networks, with the same classes, preprocessing and training set.
        output: The folder of the ensemble.
        paths: The project of the set they were trained on.
        config: Settings of calibration, decision and threshold.
        progress: Called with the step and how far it is.
        calibration_folder: Class folders of another site's scans to calibrate on instead.

    Raises:
        UsageError: There are fewer than two bundles, or two that cannot be combined.
        BundleError: One of them is damaged, or was written before graphs returned their features.
        DatasetError: They were trained on another set than the one prepared here.
        ParityError: The packed graph does not return the mean of its members' logits; nothing is written.
        ResourceError: The disk is full.
    """
    members = [open_bundle(source) for source in sources]
    _check_members(members)
    manifest = _training_set(members, Manifest.read(paths.data), config)
    splits = [member_split(each.folder, each.info.provenance.split_digest, manifest) for each in members]
    assignment = SplitAssignment(manifest, join_splits(manifest, splits))
    recipe = Recipe.from_json(members[0].info.recipe)
    inputs = decode_scans(manifest, recipe, paths.cache, progress)
    if calibration_folder is None:
        held_out = held_out_scans(inputs, assignment, splits)
    else:
        held_out = folder_scans(calibration_folder, assignment, recipe, len(members), paths.cache, progress)
    parent = output.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ensemble.tmp-", dir=parent) as folder:
        files = {name: Path(folder) / name for name in (GRAPH_FILE, DETECTOR_FILE, CARD_FILE)}
        pack_graphs([member.path(GRAPH_FILE) for member in members], files[GRAPH_FILE])
        training = inputs[detector_scans(assignment.split.train, config.seed)]
        fitted = _fit(members, held_out, training, files, config, progress)
        draft, notes = _draft(members, assignment, held_out, fitted, config), fitted.notes
        write_text(files[CARD_FILE], render_model_card(draft))
        bundle = write_bundle(output, draft, files)
    return EnsembleResult(bundle, assignment, (*notes, *_approximations(bundle.info)))


@dataclass(frozen=True, slots=True)
class _Fitted:
    temperature: Temperature
    validation: Validation
    parity: GraphParity
    sets: StoredConformalSets
    detector: StoredOodDetector
    notes: tuple[str, ...]


def _fit(
    members: Sequence[ModelBundle],
    held_out: HeldOutData,
    training: InputBatch,
    files: Mapping[str, Path],
    config: Config,
    progress: Progress,
) -> _Fitted:
    """Fit temperature, prediction sets and detector on held-out scans."""
    graph, labels, calibration = files[GRAPH_FILE], held_out.labels, config.calibration
    parity = compare_graphs(graph, [member.path(GRAPH_FILE) for member in members], held_out.inputs)
    output, training_output = (score_members(graph, scans, progress) for scans in (held_out.inputs, training))
    logits = held_out.average(output)
    temperature, notes = calibrate(logits, labels, calibration)
    names = members[0].info.labels.names
    sets, more_notes = fit_prediction_sets(logits, labels, held_out.groups, temperature, names, config.decision)
    detector = fit_detector(training_output.features, output.features, config.decision, files[DETECTOR_FILE])
    validation = validation_of(logits, labels, temperature, calibration.bins)
    return _Fitted(temperature, validation, parity, sets, detector, (*notes, *more_notes))


def _draft(
    members: Sequence[ModelBundle], assignment: SplitAssignment, held_out: HeldOutData, fitted: _Fitted, config: Config
) -> BundleDraft:
    infos = [member.info for member in members]
    labels, provenance = infos[0].labels, _provenance(infos, assignment, held_out)
    return BundleDraft(
        name=f"{assignment.manifest.name}-ensemble-of-{len(members)}-{assignment.split.protocol}",
        created=dt.datetime.now(dt.UTC),
        labels=labels,
        labels_digest=labels.digest_with(provenance.weights_digest),
        recipe=infos[0].recipe,
        temperature=fitted.temperature.value,
        threshold=config.inference.threshold,
        backbone=_backbones([info.backbone for info in infos]),
        class_map_shape=infos[0].class_map_shape,
        class_map_bias=tuple(np.mean([info.class_map_bias for info in infos], axis=0).tolist()),
        provenance=provenance,
        validation=fitted.validation,
        parity=fitted.parity,
        conformal=fitted.sets,
        ood_detector=fitted.detector,
        ensemble=Ensemble(members=tuple(map(_member, infos)), members_per_scan=held_out.weights),
    )


def _member(info: BundleInfo) -> Member:
    return Member(
        digest=info.digest,
        backbone=info.backbone,
        weights_digest=info.provenance.weights_digest,
        split_digest=info.provenance.split_digest,
        temperature=info.temperature,
    )


def _provenance(infos: Sequence[BundleInfo], assignment: SplitAssignment, held_out: HeldOutData) -> Provenance:
    """Describe the joint training set: a scan that trained one member trained the ensemble."""
    first, split, groups = infos[0].provenance, assignment.split, assignment.manifest.group_indices
    weights = hashlib.sha256("".join(info.provenance.weights_digest for info in infos).encode())
    return first.model_copy(
        update={
            "split_digest": split.digest,
            "weights_digest": weights.hexdigest(),
            "leaky": split.leaky or any(info.provenance.leaky for info in infos),
            "training_recipe": IMPORTED if any(info.imported for info in infos) else first.training_recipe,
            "train_images": len(split.train),
            "train_groups": len(np.unique(groups[split.train])),
            "validation_images": len(held_out.labels),
            "validation_groups": len(np.unique(held_out.groups)),
            "versions": dict(sorted(library_versions())),
        }
    )


def _backbones(names: Sequence[str]) -> str:
    counted = [f"{names.count(name)} × {name}" for name in dict.fromkeys(names)]
    text = " + ".join(counted)
    return text if len(text) <= _MAX_NAME else f"{len(names)} networks of {len(counted)} backbones"


def _approximations(info: BundleInfo) -> tuple[str, ...]:
    ensemble = info.ensemble
    if ensemble is None or not ensemble.out_of_fold:
        return ()
    count = len(ensemble.members)
    how = f"{ensemble.members_per_scan} of {count} members scored each validation scan, those it did not train"
    return (
        f"temperature and prediction sets are approximations: {how}; the ensemble is probably underconfident",
        "the out-of-distribution detector was calibrated on scans that trained most members; it may reject too many",
    )


def _training_set(members: Sequence[ModelBundle], prepared: Manifest, config: Config) -> Manifest:
    """Find the set the members were trained on: as prepared, or with the configured folds."""
    wanted = members[0].info.provenance.manifest_digest
    if prepared.digest == wanted:
        return prepared
    reassigned = reassign_split(prepared, config.data.folds, config.seed)
    if reassigned.digest == wanted:
        return reassigned
    msg = f"{members[0].folder}: was trained on another set than the one prepared in {prepared.root}"
    raise DatasetError(msg)


_SHARED: tuple[tuple[str, Callable[[BundleInfo], object]], ...] = (
    ("classes", lambda info: (info.labels.names, info.labels.healthy)),
    ("preprocessing and image size", lambda info: info.recipe),
    ("class maps", lambda info: info.class_map_shape),
    ("training set", lambda info: info.provenance.manifest_digest[:12]),
)
"""Properties that all members must share."""


def _check_members(members: Sequence[ModelBundle]) -> None:
    if len(members) < 2:  # noqa: PLR2004 - one network is no ensemble
        msg = f"an ensemble needs at least two bundles, got {len(members)}"
        raise UsageError(msg)
    first, digests = members[0], set[str]()
    for member in members:
        if member.info.ensemble is not None:
            msg = f"{member.folder}: must be a single network, got an ensemble; give its members' bundles"
            raise UsageError(msg)
        if member.info.digest in digests:
            msg = f"{member.folder}: is given twice; give bundles of different networks"
            raise UsageError(msg)
        digests.add(member.info.digest)
        for name, of in _SHARED:
            if of(member.info) != of(first.info):
                got = f"{of(member.info)} and {of(first.info)}"
                msg = f"{member.folder}: must have the same {name} as {first.folder}, got {got}; train alike"
                raise UsageError(msg)
