"""Scans on which a threshold may be chosen: never a test scan, and never one that trained the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import Decisions, Groups, InputBatch, Logits
from brainslice.bundle.adaptation import read_adaptation
from brainslice.bundle.store import ModelBundle
from brainslice.dataset.cache import decode_scans
from brainslice.dataset.duplicates.overlap import find_site_scans
from brainslice.dataset.external_site import ExternalSite, SourceData, read_external_site, site_inputs
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Split, assign_folds
from brainslice.decision.threshold_search import TumourScores
from brainslice.errors import CalibrationError, DatasetError, LeakError
from brainslice.evaluation.ensemble_gain import joint_split, member_split
from brainslice.files import sha256_of
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class TuningScans:
    """Scans that choose a threshold, and others that tell what it came to.

    Attributes:
        tuning: What the model said of the scans that choose.
        held_out: What it said of scans of other groups, looked at afterwards; None where there are none.
        words: Which scans choose.
        notes: What a person should know of them, a line each.
        promising: Whether a guarantee may be given: no relative of these scans has trained the model.
    """

    tuning: TumourScores
    held_out: TumourScores | None
    words: str
    notes: tuple[str, ...]
    promising: bool

    @property
    def shown(self) -> TumourScores:
        """The scans that figures are counted on: held-out ones where there are any."""
        return self.tuning if self.held_out is None else self.held_out

    @property
    def shown_words(self) -> str:
        """Say which scans these are."""
        which = "they chose the threshold" if self.held_out is None else "held-out scans beside those that chose"
        return f"{self.words} ({which})"


def validation_scans(places: ProjectPaths, predictor: Predictor, progress: Progress = silent) -> TuningScans:
    """Score the scans that chose a bundle's temperature; the ledger of test openings has nothing to note.

    Args:
        places: Where the project keeps what.
        predictor: The bundle, opened.
        progress: Hears how far it is.

    Raises:
        DatasetError: The set prepared here is not the one the bundle was trained on.
        CalibrationError: The scans are all of one kind, or none is left.
    """
    manifest = Manifest.read(places.data)
    split = split_of(predictor.bundle, manifest)
    chosen = split.validation
    if not len(chosen):
        msg = f"{predictor.bundle.folder}: no scan chose without training too; give tuning scans with --data FOLDER"
        raise CalibrationError(msg)
    inputs = decode_scans(manifest, predictor.recipe, places.cache, progress)
    tumour = manifest.label_indices[chosen] != manifest.labels.healthy_index
    scores = _scored(predictor, inputs[chosen], tumour, manifest.group_indices[chosen], progress)
    notes = ["these scans chose the temperature and the stopping time too, so figures on them flatter the model"]
    leaks = split.crossing_validation > 0
    if leaks:
        notes.append(f"{split.crossing_validation} of them have relatives in training, so nothing can be promised")
    words = f"{manifest.name}, validation scans of the {split.protocol.value} protocol, which chose the weights too"
    return TuningScans(scores, None, words, tuple(notes), promising=not leaks)


def folder_scans(
    folder: Path, places: ProjectPaths, predictor: Predictor, seed: int, progress: Progress = silent
) -> TuningScans:
    """Score another site's scans, half of its groups to choose and half to report on.

    Whatever shares a picture with the prepared set is left out: it trained the model, chose for it, or tests it.

    Args:
        folder: Holds ``yes`` and ``no``, or the classes of the model.
        places: Where the project keeps what.
        predictor: The bundle, opened.
        seed: Decides which groups choose.
        progress: Hears how far it is.

    Raises:
        LeakError: Files of the folder are test scans of the bundle, or it was adapted to them.
        DatasetError: There are no such folders, or nothing is left of one of the two kinds.
        CalibrationError: A half holds scans of one kind only.
    """
    source, test = _made_from(places, predictor.bundle)
    _refuse_test_scans(folder, test, predictor.bundle)
    site = read_external_site(folder, predictor.bundle.labels, source, progress)
    _refuse_adapted_to(folder, site, predictor.bundle)
    inputs = site_inputs(site, predictor.recipe, progress)
    scored = _scored(predictor, inputs, site.tumours, site.groups, progress)
    half = assign_folds(site.tumours.astype(np.int64), site.groups, 2, seed) == 0
    counted = f"{int(half.sum())} scans choose, {int((~half).sum())} of other groups are reported on"
    words = f"{site.name}, {len(np.unique(site.groups[half]))} groups of scans"
    notes = (*site.summary_lines(), counted)
    return TuningScans(scored.part(half), scored.part(~half), words, notes, promising=source is not None)


def split_of(bundle: ModelBundle, manifest: Manifest) -> Split:
    """Find the split that a bundle was trained for.

    Raises:
        DatasetError: No split of the set prepared here is that one.
        LeakError: The bundle is an ensemble, and every scan has trained or chosen for one of its members.
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


def _made_from(places: ProjectPaths, bundle: ModelBundle) -> tuple[SourceData | None, frozenset[str]]:
    """Find what a bundle was made from and the hashes of the files that test it, as far as they lie here."""
    try:
        manifest = Manifest.read(places.data)
        split = split_of(bundle, manifest)
    except DatasetError:
        return None, frozenset()
    except LeakError:
        # An ensemble that keeps no scan for testing: all of them have made it.
        return SourceData(manifest, np.arange(len(manifest.records)), places.cache), frozenset()
    rows = np.unique(np.concatenate([split.train, split.validation, split.test]))
    return SourceData(manifest, rows, places.cache), frozenset(
        manifest.records[row].sha256 for row in split.test.tolist()
    )


def _refuse_test_scans(folder: Path, test: frozenset[str], bundle: ModelBundle) -> None:
    _, found = find_site_scans(folder, bundle.labels)
    shared = sum(sha256_of(scan.path) in test for scan in found)
    if shared:
        msg = (
            f"{folder}: {shared} of its {len(found)} files are test scans of {bundle.folder}; a threshold chosen on "
            "them could not be judged on them, so choose on other scans"
        )
        raise LeakError(msg)


def _refuse_adapted_to(folder: Path, site: ExternalSite, bundle: ModelBundle) -> None:
    adapted = read_adaptation(bundle)
    trained = frozenset(answer.pixels for answer in adapted.out_of_fold) if adapted is not None else frozenset()
    shared = sum(scan.pixel_hash in trained for scan in site.scans)
    if shared:
        msg = (
            f"{folder}: {shared} of its {len(site.scans)} pictures adapted {bundle.folder}, whose threshold was found "
            "out of fold then; choose on other scans, or tune the bundle it was adapted from"
        )
        raise LeakError(msg)


def _scored(
    predictor: Predictor, inputs: InputBatch, tumour: Decisions, groups: Groups, progress: Progress
) -> TumourScores:
    scores = tumour_scores(predictor, predictor.score(inputs, progress).logits)
    return TumourScores(scores, tumour, groups)


def tumour_scores(predictor: Predictor, logits: Logits) -> np.ndarray:
    """Turn logits ``(n, k)`` into P(tumour) ``(n,)`` exactly as predictions do."""
    probabilities = predictor.temperature.probabilities(logits)
    return np.asarray(1.0 - probabilities[:, predictor.bundle.labels.healthy_index])
