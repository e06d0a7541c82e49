"""What the members of an ensemble have seen between them, and what averaging them gains on scans none has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from brainslice.arrays import Labels, MemberLogits, Probabilities
from brainslice.bundle.store import ModelBundle
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Split
from brainslice.dataset.splits.split_assignment import find_split, join_splits
from brainslice.decision.temperature import Temperature
from brainslice.errors import DatasetError, LeakError
from brainslice.metrics.evaluation import ScoredSet
from brainslice.metrics.intervals.asymptotic import Interval
from brainslice.metrics.intervals.bootstrap import clustered_bootstrap, resample


@dataclass(frozen=True, slots=True)
class EnsembleGain:
    """How much better an ensemble does than its members do on the average.

    Attributes:
        name: ``accuracy``, or ``nll`` for the mean negative log-likelihood of the true class.
        members: The score of each member by itself, with its own temperature.
        ensemble: The ensemble's.
        difference: The ensemble's less the members' mean.
        interval: Of the difference, by groups drawn again; None where all draws agree.
    """

    name: str
    members: tuple[float, ...]
    ensemble: float
    difference: float
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        return {
            "members": list(self.members),
            "ensemble": self.ensemble,
            "difference": self.difference,
            "interval": None if self.interval is None else self.interval.to_json(),
        }


def member_split(folder: Path, digest: str, manifest: Manifest) -> Split:
    """Find out which scans a bundle was trained on.

    Args:
        folder: The bundle, for the message.
        digest: What it says of its split.
        manifest: The set it was trained on.

    Raises:
        DatasetError: No split of this set is the one it was trained for.
    """
    split = find_split(manifest, digest)
    if split is None:
        fault = f"no split of the set prepared in {manifest.root} is the one a network here was trained for"
        msg = f"{folder}: {fault}, so nobody can tell which scans it knows; train it again on this set"
        raise DatasetError(msg)
    return split


def joint_split(bundle: ModelBundle, manifest: Manifest) -> Split:
    """Find the scans that no member of an ensemble was trained on or chosen by.

    Args:
        bundle: The ensemble.
        manifest: The prepared set.

    Raises:
        DatasetError: It was made of networks trained on another set.
        LeakError: There is no such scan.
    """
    members = bundle.info.ensemble.members if bundle.info.ensemble else ()
    split = join_splits(manifest, [member_split(bundle.folder, each.split_digest, manifest) for each in members])
    if not len(split.test):
        msg = (
            f"{bundle.folder}: every scan of {manifest.name} trained or chose for some member, so nothing is left to "
            "test on; make an ensemble whose members keep one fold (brainslice ensemble without bundles)"
        )
        raise LeakError(msg)
    return split


def measure_gains(
    scored: ScoredSet, member_logits: MemberLogits, temperatures: Sequence[float], seed: int
) -> tuple[EnsembleGain, ...]:
    """Compare an ensemble with its members on the same scans.

    Args:
        scored: The ensemble's probabilities beside the truth.
        member_logits: What each member said of the same scans ``(n, m, k)``.
        temperatures: Each member's own.
        seed: The seed of the bootstrap.

    Returns:
        The gain in accuracy and in negative log-likelihood, the latter better where it is below 0.
    """
    alone = [Temperature(value).probabilities(member_logits[:, place]) for place, value in enumerate(temperatures)]
    draws = resample(scored.groups, seed)
    gains = []
    for name, measure in (("accuracy", _right), ("nll", _surprise)):
        together = measure(scored.probabilities, scored.labels)
        each = np.column_stack([measure(own, scored.labels) for own in alone])
        gap = together - each.mean(axis=1)
        interval = clustered_bootstrap(_mean, np.column_stack([gap, np.ones(len(gap))]), draws)
        means = tuple(each.mean(axis=0).tolist())
        gains.append(EnsembleGain(name, means, float(together.mean()), float(gap.mean()), interval))
    return tuple(gains)


def _mean(sums: Float64[np.ndarray, "draws 2"]) -> Float64[np.ndarray, " draws"]:
    return np.asarray(sums[:, 0] / sums[:, 1])


def _right(probabilities: Probabilities, labels: Labels) -> Float64[np.ndarray, " n"]:
    return np.asarray(probabilities.argmax(axis=1) == labels, np.float64)


def _surprise(probabilities: Probabilities, labels: Labels) -> Float64[np.ndarray, " n"]:
    true = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(true, np.finfo(np.float64).tiny)))
