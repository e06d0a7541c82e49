"""Several networks become one bundle: their graphs packed, and a temperature for what they say together."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.bundle.abstention import StoredConformalSets, StoredOodDetector
from brainslice.bundle.ensemble import Ensemble, Member
from brainslice.bundle.model_card import CARD_FILE, model_card
from brainslice.bundle.store import ModelBundle, open_bundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, BundleInfo, GraphParity, Provenance, Validation
from brainslice.config import Config
from brainslice.dataset.cache import decode_scans
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import SplitAssignment, fold_count, join_splits, reassign_split
from brainslice.decision.out_of_distribution import DETECTOR_FILE
from brainslice.decision.temperature import Temperature
from brainslice.errors import DatasetError, UsageError
from brainslice.evaluation.ensemble_gain import member_split
from brainslice.files import write_text
from brainslice.models.ensemble import pack_graphs
from brainslice.paths import ProjectPaths, writes_project
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.training.abstention import detector_scans, fit_detector, fit_prediction_sets
from brainslice.training.bundle import library_versions
from brainslice.training.calibration import calibrate, validation_of
from brainslice.training.ensemble_scoring import (
    HeldOutData,
    compare_graphs,
    folder_scans,
    held_out_scans,
    score_members,
)
from brainslice.training.fold import plan_fold, train_once

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class EnsembleResult:
    """An ensemble, what its members have seen between them, and what a person should know about it."""

    bundle: ModelBundle
    assignment: SplitAssignment
    notes: tuple[str, ...]


@writes_project("training an ensemble")
def train_members(root: Path, config: Config, progress: Progress = silent) -> tuple[Path, ...]:
    """Train a network for each fold but the test fold: that fold chooses, all others train, and the test fold waits.

    A member that was trained before, also as a fold of ``crossval``, is not trained again.

    Args:
        root: The project's folder, with a prepared set.
        config: All settings; ``data.test_fold`` is the fold that no member may see.
        progress: Hears how far it is.

    Returns:
        The members' bundles, the one that chooses on the fold after the test fold first.

    Raises:
        DatasetError: There is no prepared set.
        ResourceError: The disk is full; finished members stay.
    """
    manifest = reassign_split(Manifest.read(ProjectPaths.of(root, config).data), config.data.folds, config.seed)
    folds, test = fold_count(manifest), config.data.test_fold
    others = [(test + step) % folds for step in range(1, folds)]
    bundles = []
    for number, chooses in enumerate(others):
        progress("training members", number, len(others))
        bundles.append(train_once(plan_fold(root, config, manifest, test, chooses), progress).folder)
    progress("training members", len(others), len(others))
    return tuple(bundles)


def build_ensemble(
    sources: Sequence[Path],
    output: Path,
    places: ProjectPaths,
    config: Config,
    progress: Progress = silent,
    *,
    elsewhere: Path | None = None,
) -> EnsembleResult:
    """Pack bundles into one that answers with the mean of their logits.

    The temperature is fitted on scans that chose for some member and trained none. Where each such scan trained some
    other member, every scan is judged by those members alone that it did not train: an approximation, since fewer
    networks speak than will answer.

    Args:
        sources: At least two bundles of different networks, alike in classes, preprocessing and training set.
        output: Where the ensemble shall lie.
        places: Where the set they were trained on lies.
        config: Whether a temperature is wanted, and from what probability a scan is called a tumour.
        progress: Hears how far it is.
        elsewhere: Class folders of scans from elsewhere that choose the temperature instead.

    Raises:
        UsageError: There are fewer than two bundles, or two that cannot answer together.
        BundleError: One of them is damaged, or was written before graphs told their features.
        DatasetError: They were trained on another set than the one prepared here.
        ParityError: The packed graph does not give the mean of its members' answers; nothing is written.
        ResourceError: The disk is full.
    """
    members = [open_bundle(source) for source in sources]
    _refuse_unlike(members)
    manifest = _their_set(members, Manifest.read(places.data), config)
    splits = [member_split(each.folder, each.info.provenance.split_digest, manifest) for each in members]
    division = SplitAssignment(manifest, join_splits(manifest, splits))
    recipe = Recipe.from_json(members[0].info.recipe)
    inputs = decode_scans(manifest, recipe, places.cache, progress)
    if elsewhere is None:
        held_out = held_out_scans(inputs, division, splits)
    else:
        held_out = folder_scans(elsewhere, division, recipe, len(members), places.cache, progress)
    place = output.resolve().parent
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ensemble-", dir=place) as folder:
        files = {name: Path(folder) / name for name in (GRAPH_FILE, DETECTOR_FILE, CARD_FILE)}
        pack_graphs([member.path(GRAPH_FILE) for member in members], files[GRAPH_FILE])
        training = inputs[detector_scans(division.split.train, config.seed)]
        fitted = _fit(members, held_out, training, files, config, progress)
        draft, notes = _draft(members, division, held_out, fitted, config), fitted.notes
        write_text(files[CARD_FILE], model_card(draft))
        bundle = write_bundle(output, draft, files)
    return EnsembleResult(bundle, division, (*notes, *_approximations(bundle.info)))


@dataclass(frozen=True, slots=True)
class _Fitted:
    temperature: Temperature
    validation: Validation
    parity: GraphParity
    sets: StoredConformalSets
    gate: StoredOodDetector
    notes: tuple[str, ...]


def _fit(
    members: Sequence[ModelBundle],
    held_out: HeldOutData,
    training: InputBatch,
    files: Mapping[str, Path],
    config: Config,
    progress: Progress,
) -> _Fitted:
    """Let held-out scans choose what single networks' held-out scans chose for them."""
    graph, labels, calibration = files[GRAPH_FILE], held_out.labels, config.calibration
    parity = compare_graphs(graph, [member.path(GRAPH_FILE) for member in members], held_out.inputs)
    heard, learnt = score_members(graph, held_out.inputs, progress), score_members(graph, training, progress)
    logits = held_out.average(heard)
    temperature, notes = calibrate(logits, labels, calibration)
    names = members[0].info.labels.names
    sets, more_notes = fit_prediction_sets(logits, labels, held_out.groups, temperature, names, config.decision)
    gate = fit_detector(learnt.features, heard.features, config.decision, files[DETECTOR_FILE])
    seen = validation_of(logits, labels, temperature, calibration.bins)
    return _Fitted(temperature, seen, parity, sets, gate, (*notes, *more_notes))


def _draft(
    members: Sequence[ModelBundle], division: SplitAssignment, held_out: HeldOutData, fitted: _Fitted, config: Config
) -> BundleDraft:
    infos = [member.info for member in members]
    return BundleDraft(
        name=f"{division.manifest.name}-ensemble-of-{len(members)}-{division.split.protocol}",
        created=dt.datetime.now(dt.UTC),
        labels=infos[0].labels,
        recipe=infos[0].recipe,
        temperature=fitted.temperature.value,
        threshold=config.inference.threshold,
        backbone=_backbones([info.backbone for info in infos]),
        class_map_shape=infos[0].class_map_shape,
        class_map_bias=tuple(np.mean([info.class_map_bias for info in infos], axis=0).tolist()),
        provenance=_provenance(infos, division, held_out),
        validation=fitted.validation,
        parity=fitted.parity,
        conformal=fitted.sets,
        ood_detector=fitted.gate,
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


def _provenance(infos: Sequence[BundleInfo], division: SplitAssignment, held_out: HeldOutData) -> Provenance:
    """Say what all members have seen: a scan that trained one of them trained the ensemble."""
    first, split, groups = infos[0].provenance, division.split, division.manifest.group_indices
    weights = hashlib.sha256("".join(info.provenance.weights_digest for info in infos).encode())
    return first.model_copy(
        update={
            "split_digest": split.digest,
            "weights_digest": weights.hexdigest(),
            "leaky": split.leaky or any(info.provenance.leaky for info in infos),
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
    return text if len(text) <= _LONGEST_NAME else f"{len(names)} networks of {len(counted)} backbones"


def _approximations(info: BundleInfo) -> tuple[str, ...]:
    ensemble = info.ensemble
    if ensemble is None or not ensemble.out_of_fold:
        return ()
    among = len(ensemble.members)
    how = f"{ensemble.members_per_scan} of {among} members judged each scan they rest on, those that scan did not train"
    return (
        f"temperature and prediction sets are approximations: {how}; the ensemble is probably too unsure of itself",
        "the gate's limit rests on scans that most members were trained on; it probably refuses more than its share",
    )


def _their_set(members: Sequence[ModelBundle], prepared: Manifest, config: Config) -> Manifest:
    """Find the set the members were trained on: as it was prepared, or dealt into the folds asked for."""
    wanted = members[0].info.provenance.manifest_digest
    if prepared.digest == wanted:
        return prepared
    dealt = reassign_split(prepared, config.data.folds, config.seed)
    if dealt.digest == wanted:
        return dealt
    fault = f"was trained on another set than the one prepared in {prepared.root}"
    msg = f"{members[0].folder}: {fault}, so nobody can tell which scans it knows; prepare that set again"
    raise DatasetError(msg)


_ALIKE: tuple[tuple[str, Callable[[BundleInfo], object]], ...] = (
    ("classes", lambda info: (info.labels.names, info.labels.healthy)),
    ("preprocessing and image size", lambda info: info.recipe),
    ("class maps", lambda info: info.class_map_shape),
    ("training set", lambda info: info.provenance.manifest_digest[:12]),
)
"""What members of one ensemble must share."""


def _refuse_unlike(members: Sequence[ModelBundle]) -> None:
    if len(members) < 2:  # noqa: PLR2004 - one network is no ensemble
        msg = f"an ensemble needs at least two bundles, got {len(members)}; name another one"
        raise UsageError(msg)
    first, seen = members[0], set[str]()
    for member in members:
        if member.info.ensemble is not None:
            msg = f"{member.folder}: is an ensemble already; give its members' bundles instead"
            raise UsageError(msg)
        if member.info.digest in seen:
            msg = f"{member.folder}: is given twice; an ensemble needs networks that differ, so take another one"
            raise UsageError(msg)
        seen.add(member.info.digest)
        for name, of in _ALIKE:
            if of(member.info) != of(first.info):
                got = f"{of(member.info)} and {of(first.info)}"
                msg = f"{member.folder}: must have the same {name} as {first.folder}, got {got}; train them alike"
                raise UsageError(msg)
