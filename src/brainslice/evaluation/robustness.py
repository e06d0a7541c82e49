"""Accuracy, calibration and referral of a bundle on scans that were made worse step by step.

Nothing is chosen by these results. Test scans are logged as any other access to them.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainslice.array_types import Float
from brainslice.arrays import Decisions, NetworkInput, Probabilities
from brainslice.config import Config
from brainslice.dataset import Manifest, read_external_site
from brainslice.decision import Verdict
from brainslice.errors import UsageError
from brainslice.evaluation.corruptions import CORRUPTIONS, SEVERITIES, VERSION, Corruption, corrupt
from brainslice.evaluation.external_validation import source_data
from brainslice.evaluation.labelled_scans import LabelledScans, labelled_site_scans, labelled_test_scans
from brainslice.evaluation.scoring import record_access
from brainslice.evaluation.tuning_data import split_of
from brainslice.files import atomic_file
from brainslice.inference import Predictor, decode_batches, open_bundle_or_default
from brainslice.labels import LabelSet
from brainslice.metrics import Resampling, Score, ScoringInputs, calibration_scores, mean_score, proportion, resample
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent

SAMPLE: Final = 200
"""The default number of scans."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The model's answers to all scans, changed in one way.

    Attributes:
        probabilities: Calibrated ``(n, k)``.
        referred: Whether each scan is referred for review ``(n,)``.
        unfit: Whether it is referred because the picture is unfit for the model ``(n,)``.
    """

    probabilities: Probabilities
    referred: Decisions
    unfit: Decisions


@dataclass(frozen=True, slots=True)
class Condition:
    """Scores under one change.

    Attributes:
        corruption: The kind of change; None for the scans as they are.
        severity: From 0, no change, to 5.
        scores: ``accuracy``, ``accuracy_change`` (from the scans as they are, scan by scan), ``ece``, ``referred``,
            ``unfit`` (referred because the picture is), and ``accuracy_answered`` (of the scans not referred).
    """

    corruption: Corruption | None
    severity: int
    scores: tuple[Score, ...]

    @property
    def amount(self) -> float | None:
        """The size of the change, in the kind's unit; None without change."""
        return None if self.corruption is None else self.corruption.amounts[self.severity - 1]

    def score(self, name: str) -> Score:
        """Return the score of a name."""
        return next(score for score in self.scores if score.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON types."""
        scores = {score.name: score.to_json() for score in self.scores}
        return {"severity": self.severity, "amount": self.amount, "scores": scores}


@dataclass(frozen=True, slots=True, eq=False)
class Robustness:
    """Results of a sweep.

    Attributes:
        bundle: The bundle's name and digest.
        warnings: The bundle's warnings, such as ``phantom``.
        scans: The scans scored.
        plain: Scores of the scans as they are.
        conditions: Scores of each kind and severity from 1, in order.
        seed: It drew the scans and the changes.
        bins: The number of bins of the ECE.
        level: The confidence level of the intervals.
        test_accesses: How often the test scans of this split have been scored, this time included; None for a folder.
    """

    bundle: tuple[str, str]
    warnings: tuple[str, ...]
    scans: LabelledScans
    plain: Condition
    conditions: tuple[Condition, ...]
    seed: int
    bins: int
    level: float
    test_accesses: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON types."""
        kinds = {
            each.name: {
                "unit": each.unit,
                "severities": [one.to_json() for one in self.conditions if one.corruption is each],
            }
            for each in CORRUPTIONS
        }
        return {
            "dataset": self.scans.name,
            "protocol": self.scans.protocol,
            "n": len(self.scans.labels),
            "drawn_from": self.scans.total,
            "groups": len(np.unique(self.scans.groups)),
            "bundle": {"name": self.bundle[0], "digest": self.bundle[1]},
            "warnings": list(self.warnings),
            "seed": self.seed,
            "bins": self.bins,
            "level": self.level,
            "test_openings": self.test_accesses,
            "plain": self.plain.to_json(),
            "corruptions": kinds,
        }


def measure_robustness(
    paths: ProjectPaths,
    config: Config,
    *,
    data: Path | None = None,
    bundle: Path | None = None,
    sample: int = SAMPLE,
    progress: Progress = silent,
) -> Robustness:
    """Score a bundle on scans as they are and under each change; an interrupted sweep resumes.

    Args:
        paths: The project's files and folders.
        config: ``seed`` draws the sample and the changes.
        data: A folder with class folders, or ``yes`` and ``no``; the test scans of the bundle's split where None.
        bundle: The bundle's folder; the project's own, or the shipped one, where None.
        sample: How many scans to draw; 0 for all.
        progress: Called with the step and how far it is.

    Raises:
        BundleError: There is no bundle, or it was altered.
        DatasetError: The bundle was trained on another set than the one prepared here, or the folder is invalid.
        LeakError: The bundle is an ensemble, and every scan trained or validated one of its members.
        UsageError: The sample is below 0.
    """
    if sample < 0:
        msg = f"the sample must be a number of scans, or 0 for all, got {sample}"
        raise UsageError(msg)
    predictor = Predictor.open(
        bundle or (paths.bundle if paths.bundle.exists() else open_bundle_or_default(paths.root))
    )
    opened, info, accesses = predictor.bundle, predictor.bundle.info, None
    if data is None:
        manifest = Manifest.read(paths.data)
        split = split_of(opened, manifest)
        scans = labelled_test_scans(manifest, split).sample(sample, config.seed)
        accesses = record_access(paths.test_access_log, split, opened, len(scans.labels))
    else:
        site = read_external_site(data, opened.labels, source_data([opened], paths), progress)
        scans = labelled_site_scans(site).sample(sample, config.seed)
    answers = _sweep(scans, predictor, paths.cache, config.seed, progress)
    draws, bins = resample(scans.groups, config.seed), config.calibration.bins
    scores = [_scores(each, answers[0], scans, opened.labels, draws, bins) for each in answers]
    plain, *conditions = [Condition(*change, own) for change, own in zip(_changes(), scores, strict=True)]
    return Robustness(
        bundle=(info.name, info.digest),
        warnings=info.warnings,
        scans=scans,
        plain=plain,
        conditions=tuple(conditions),
        seed=config.seed,
        bins=bins,
        level=draws.level,
        test_accesses=accesses,
    )


def _changes() -> Iterator[tuple[Corruption | None, int]]:
    yield None, 0
    for corruption in CORRUPTIONS:
        for severity in range(1, SEVERITIES + 1):
            yield corruption, severity


def _sweep(scans: LabelledScans, predictor: Predictor, cache: Path, seed: int, progress: Progress) -> list[Answers]:
    """Answer all scans under each change; answers are kept in the cache, so that an interrupted sweep resumes."""
    amounts = [(each.name, each.amounts) for each in CORRUPTIONS]
    identity = [VERSION, amounts, predictor.bundle.info.digest, scans.digests, seed]
    folder = cache / f"robustness-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]}"
    found, total = [], 1 + SEVERITIES * len(CORRUPTIONS)
    for corruption, severity in _changes():
        path = folder / f"{corruption.name if corruption else 'plain'}-{severity}.npz"
        answers = _read_answers(path, len(scans.labels))
        if answers is None:
            answers = _answer(scans, predictor, corruption, severity, seed)
            with atomic_file(path) as temporary:
                np.savez(temporary, **{field.name: getattr(answers, field.name) for field in fields(answers)})
        found.append(answers)
        progress("robustness", len(found), total)
    return found


def _read_answers(path: Path, n: int) -> Answers | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            answers = Answers(**{field.name: stored[field.name] for field in fields(Answers)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return answers if len(answers.probabilities) == n else None


def _answer(
    scans: LabelledScans, predictor: Predictor, corruption: Corruption | None, severity: int, seed: int
) -> Answers:
    def prepare(number: int) -> NetworkInput:
        scan = scans.read(number)
        return predictor.recipe(scan if corruption is None else corrupt(scan, corruption, severity, seed))

    probabilities, decisions = [], []
    for inputs in decode_batches(range(len(scans.labels)), prepare):
        output = predictor.score(np.stack(inputs))
        probabilities.append(predictor.temperature.probabilities(output.logits))
        decisions += predictor.verdict_rules.decide(output, inputs, predictor.temperature, predictor.threshold)
    return Answers(
        probabilities=np.concatenate(probabilities),
        referred=np.array([each.verdict is Verdict.REFER for each in decisions]),
        unfit=np.array([any(reason.rejects_input for reason in each.reasons) for each in decisions]),
    )


def _scores(
    answers: Answers, plain: Answers, scans: LabelledScans, labels: LabelSet, draws: Resampling, bins: int
) -> tuple[Score, ...]:
    probabilities, before = (_restrict(scans.label_set, each.probabilities, labels) for each in (answers, plain))
    correct, correct_before = (each.argmax(axis=1) == scans.labels for each in (probabilities, before))
    inputs = ScoringInputs(scans.labels, probabilities, scans.groups, scans.label_set, draws)
    ece = next(score for score in calibration_scores(inputs, bins) if score.name == "ece")
    answered = ~answers.referred
    return (
        proportion("accuracy", correct, scans.groups, draws.level),
        mean_score("accuracy_change", correct.astype(np.float64) - correct_before, draws),
        ece,
        proportion("referred", answers.referred, scans.groups, draws.level),
        proportion("unfit", answers.unfit, scans.groups, draws.level),
        proportion("accuracy_answered", correct[answered], scans.groups[answered], draws.level),
    )


def _restrict(label_set: LabelSet, probabilities: Probabilities, labels: LabelSet) -> Float[np.ndarray, "n classes"]:
    """Return the probabilities of the scans' classes: those of the model, or tumour and healthy only."""
    if label_set == labels:
        return probabilities
    healthy = probabilities[:, labels.healthy_index]
    return np.stack([healthy if name == label_set.healthy else 1 - healthy for name in label_set.names], axis=1)
