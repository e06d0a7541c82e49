"""Scans that no member of an ensemble was trained on, and the gain of the ensemble over its members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.array_types import Float64
from brainslice.arrays import Labels, MemberLogits, Probabilities
from brainslice.bundle import ModelBundle
from brainslice.dataset import Manifest, Split, find_split, join_splits
from brainslice.decision import Temperature
from brainslice.errors import DatasetError, LeakError
from brainslice.metrics import Interval, ScoredSet, clustered_bootstrap, resample


@dataclass(frozen=True, slots=True)
class EnsembleGain:
    """A metric of an ensemble beside the same metric of its members.

    Attributes:
        name: ``accuracy``, or ``nll`` for the mean negative log-likelihood of the true class.
        members: Each member's score, with its own temperature.
        ensemble: The ensemble's score.
        difference: The ensemble's score less the members' mean.
        interval: Bootstrap interval of the difference, by group; None where all resamples agree.
    """

    name: str
    members: tuple[float, ...]
    ensemble: float
    difference: float
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON types."""
        return {
            "members": list(self.members),
            "ensemble": self.ensemble,
            "difference": self.difference,
            "interval": None if self.interval is None else self.interval.to_json(),
        }


def member_split(folder: Path, digest: str, manifest: Manifest) -> Split:
    """Find the split a bundle was trained for.

    Raises:
        DatasetError: No split of this set has that digest.
    """
    split = find_split(manifest, digest)
    if split is None:
        msg = (
            f"{folder}: no split of the set prepared in {manifest.root} is the one a network here was trained for, so "
            "its training scans are unknown; train it again on this set"
        )
        raise DatasetError(msg)
    return split


def joint_split(bundle: ModelBundle, manifest: Manifest) -> Split:
    """Find the scans that neither trained nor validated any member of an ensemble.

    Raises:
        DatasetError: It was made of networks trained on another set.
        LeakError: There is no such scan.
    """
    members = bundle.info.ensemble.members if bundle.info.ensemble else ()
    split = join_splits(manifest, [member_split(bundle.folder, each.split_digest, manifest) for each in members])
    if not len(split.test):
        msg = (
            f"{bundle.folder}: every scan of {manifest.name} trained or validated some member, so no scan is left to "
            "test on; make an ensemble whose members share a test fold (brainslice ensemble without bundles)"
        )
        raise LeakError(msg)
    return split


def measure_gains(
    scored: ScoredSet, member_logits: MemberLogits, temperatures: Sequence[float], seed: int
) -> tuple[EnsembleGain, ...]:
    """Compare an ensemble with its members, by their logits ``(n, m, k)`` and temperatures, on the same scans.

    Returns:
        The gain in accuracy, and in negative log-likelihood, where lower is better.
    """
    probabilities = [Temperature(value).probabilities(member_logits[:, m]) for m, value in enumerate(temperatures)]
    draws = resample(scored.groups, seed)
    gains = []
    for name, metric in (("accuracy", _correct), ("nll", _log_loss)):
        ensemble = metric(scored.probabilities, scored.labels)
        members = np.column_stack([metric(each, scored.labels) for each in probabilities])
        difference = ensemble - members.mean(axis=1)
        parts = np.column_stack([difference, np.ones(len(difference))])
        interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, draws)
        means = tuple(members.mean(axis=0).tolist())
        gains.append(EnsembleGain(name, means, float(ensemble.mean()), float(difference.mean()), interval))
    return tuple(gains)


def _correct(probabilities: Probabilities, labels: Labels) -> Float64[np.ndarray, " n"]:
    return np.asarray(probabilities.argmax(axis=1) == labels, np.float64)


def _log_loss(probabilities: Probabilities, labels: Labels) -> Float64[np.ndarray, " n"]:
    true = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(true, np.finfo(np.float64).tiny)))
