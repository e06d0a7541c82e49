"""Scans to choose a threshold on: neither test scans nor scans that trained the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import Decisions, Groups, InputBatch, Logits
from brainslice.bundle import ModelBundle, read_adaptation
from brainslice.dataset import (
    ExternalSite,
    Manifest,
    SourceData,
    Split,
    assign_folds,
    decode_scans,
    find_site_scans,
    read_external_site,
    site_inputs,
)
from brainslice.decision import TumourScores
from brainslice.errors import CalibrationError, DatasetError, LeakError
from brainslice.evaluation.ensemble_gain import joint_split, member_split
from brainslice.files import sha256_of
from brainslice.inference import Predictor
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class TuningScans:
    """Scored scans to choose a threshold on, and others to report on.

    Attributes:
        tuning: P(tumour) of the scans to choose on.
        held_out: P(tumour) of scans of other groups to report on; None where there are none.
        description: Which scans the threshold is chosen on.
        notes: Limitations, a line each.
        allows_guarantee: Whether a guarantee may be given: no scan of the same groups trained the model.
    """

    tuning: TumourScores
    held_out: TumourScores | None
    description: str
    notes: tuple[str, ...]
    allows_guarantee: bool

    @property
    def reported(self) -> TumourScores:
        """The scans to report on: the held-out ones where there are any."""
        return self.tuning if self.held_out is None else self.held_out

    @property
    def reported_description(self) -> str:
        """Description of the reported scans."""
        which = "which selected the threshold" if self.held_out is None else "held-out scans, not used for selection"
        return f"{self.description} ({which})"


def validation_scans(paths: ProjectPaths, predictor: Predictor, progress: Progress = silent) -> TuningScans:
    """Score the validation scans of a bundle; this is no access to the test set.

    Raises:
        DatasetError: The set prepared here is not the one the bundle was trained on.
        CalibrationError: All scans are tumours, all are healthy, or there is none.
    """
    manifest = Manifest.read(paths.data)
    split = split_of(predictor.bundle, manifest)
    rows = split.validation
    if not len(rows):
        msg = f"{predictor.bundle.folder}: every validation scan trained a member; give tuning scans with --data FOLDER"
        raise CalibrationError(msg)
    inputs = decode_scans(manifest, predictor.recipe, paths.cache, progress)
    tumour = manifest.label_indices[rows] != manifest.labels.healthy_index
    scores = _score(predictor, inputs[rows], tumour, manifest.group_indices[rows], progress)
    notes = ["these scans also selected weights and temperature, so rates on them are optimistic"]
    leaks, imported = split.crossing_validation > 0, predictor.bundle.info.imported
    if imported:
        notes.append("the network was trained elsewhere, perhaps on these scans, so no guarantee can be given")
    if leaks:
        notes.append(
            f"{split.crossing_validation} of them share a group with training scans, so no guarantee can be given"
        )
    description = (
        f"{manifest.name}, validation scans of the {split.protocol.value} protocol, which also selected the weights"
    )
    return TuningScans(scores, None, description, tuple(notes), allows_guarantee=not (leaks or imported))


def folder_scans(
    folder: Path, paths: ProjectPaths, predictor: Predictor, seed: int, progress: Progress = silent
) -> TuningScans:
    """Score another site's scans: half of the groups, drawn with ``seed``, to choose a threshold on, half to report on.

    Near-duplicates of scans of the prepared set are left out.

    Raises:
        LeakError: Files of the folder are test scans of the bundle, or it was adapted to them.
        DatasetError: There are no such folders, or no new tumours or no new healthy scans.
        CalibrationError: A half holds tumours only or healthy scans only.
    """
    source, test = _source_data(paths, predictor.bundle)
    _check_not_test(folder, test, predictor.bundle)
    site = read_external_site(folder, predictor.bundle.labels, source, progress)
    _check_not_adapted(folder, site, predictor.bundle)
    inputs = site_inputs(site, predictor.recipe, progress)
    scored = _score(predictor, inputs, site.tumours, site.groups, progress)
    half = assign_folds(site.tumours.astype(np.int64), site.groups, 2, seed) == 0
    counted = f"{int(half.sum())} scans choose, {int((~half).sum())} of other groups are reported on"
    description = f"{site.name}, {len(np.unique(site.groups[half]))} groups of scans"
    notes = (*site.summary_lines(), counted)
    tuning, held_out = scored.part(half), scored.part(~half)
    known = source is not None and not predictor.bundle.info.imported
    return TuningScans(tuning, held_out, description, notes, allows_guarantee=known)


def split_of(bundle: ModelBundle, manifest: Manifest) -> Split:
    """Find the split a bundle was trained for.

    Raises:
        DatasetError: No split of the set prepared here is that one.
        LeakError: The bundle is an ensemble, and every scan trained or validated one of its members.
    """
    if bundle.info.ensemble is not None:
        return joint_split(bundle, manifest)
    provenance = bundle.info.provenance
    if provenance.manifest_digest != manifest.digest:
        msg = (
            f"{bundle.folder}: was trained on another set than the one prepared in {manifest.root}; train it again here"
        )
        raise DatasetError(msg)
    return member_split(bundle.folder, provenance.split_digest, manifest)


def _source_data(paths: ProjectPaths, bundle: ModelBundle) -> tuple[SourceData | None, frozenset[str]]:
    """Find the scans of a bundle's split, where the set is prepared here, and the hashes of its test files."""
    try:
        manifest = Manifest.read(paths.data)
        split = split_of(bundle, manifest)
    except DatasetError:
        return None, frozenset()
    except LeakError:
        # An ensemble without test scans: every scan trained or validated a member.
        return SourceData(manifest, np.arange(len(manifest.records)), paths.cache), frozenset()
    rows = np.unique(np.concatenate([split.train, split.validation, split.test]))
    test = frozenset(manifest.records[row].sha256 for row in split.test.tolist())
    return SourceData(manifest, rows, paths.cache), test


def _check_not_test(folder: Path, test: frozenset[str], bundle: ModelBundle) -> None:
    _, found = find_site_scans(folder, bundle.labels)
    shared = sum(sha256_of(scan.path) in test for scan in found)
    if shared:
        msg = (
            f"{folder}: {shared} of its {len(found)} files are test scans of {bundle.folder}; a threshold must not "
            "be chosen on test scans; give other scans"
        )
        raise LeakError(msg)


def _check_not_adapted(folder: Path, site: ExternalSite, bundle: ModelBundle) -> None:
    adaptation = read_adaptation(bundle)
    trained = frozenset(answer.pixels for answer in adaptation.out_of_fold) if adaptation else frozenset()
    shared = sum(scan.pixel_hash in trained for scan in site.scans)
    if shared:
        msg = (
            f"{folder}: {shared} of its {len(site.scans)} images trained {bundle.folder} in adaptation, which also "
            "found its threshold; choose on other scans, or tune the bundle it was adapted from"
        )
        raise LeakError(msg)


def _score(
    predictor: Predictor, inputs: InputBatch, tumour: Decisions, groups: Groups, progress: Progress
) -> TumourScores:
    scores = tumour_scores(predictor, predictor.score(inputs, progress).logits)
    return TumourScores(scores, tumour, groups)


def tumour_scores(predictor: Predictor, logits: Logits) -> np.ndarray:
    """Convert logits ``(n, k)`` to P(tumour) ``(n,)``, as in predictions."""
    probabilities = predictor.temperature.probabilities(logits)
    return np.asarray(1.0 - probabilities[:, predictor.bundle.labels.healthy_index])
