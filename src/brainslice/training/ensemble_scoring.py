"""Hearing the members of an ensemble on held-out scans: each scan is judged by those it did not train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from brainslice.arrays import Groups, InputBatch, Labels, Logits
from brainslice.bundle.types import GraphParity
from brainslice.dataset.external_site import SourceData, read_external_site, site_inputs
from brainslice.dataset.splits.split import Split
from brainslice.dataset.splits.split_assignment import SplitAssignment
from brainslice.errors import DatasetError, ParityError
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent

_BATCH = 32
_PARITY_SCANS = 200
_LOGITS, _CLASS_MAPS = 1e-4, 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutData:
    """Labelled scans, and which members may judge each of them.

    Attributes:
        inputs: The scans as the network sees them ``(n, h, w)``.
        labels: Their classes ``(n,)``.
        groups: Their groups ``(n,)``.
        eligible: Whether a member was not trained on a scan ``(n, m)``; at least one member for each scan.
    """

    inputs: InputBatch
    labels: Labels
    groups: Groups
    eligible: Bool[np.ndarray, "n m"]

    @property
    def weights(self) -> int:
        """How many members judge every scan, at least."""
        return int(self.eligible.sum(axis=1).min())

    def average(self, heard: EngineOutput) -> Logits:
        """Average for each scan the logits of the members that may judge it.

        Args:
            heard: What the ensemble's graph says of the scans.

        Returns:
            Logits ``(n, k)``.

        Raises:
            ParityError: The graph does not tell its members' logits.
        """
        if heard.member_logits is None:
            msg = "the packed graph must tell its members' logits, got none; install the versions of requirements.txt"
            raise ParityError(msg)
        weights = self.eligible / self.eligible.sum(axis=1, keepdims=True)
        return np.asarray((heard.member_logits * weights[..., np.newaxis]).sum(axis=1))


def held_out_scans(inputs: InputBatch, division: SplitAssignment, splits: Sequence[Split]) -> HeldOutData:
    """Take the scans that chose for some member and trained none; failing these, all that chose for some member.

    Args:
        inputs: All scans of the set ``(n, h, w)``.
        division: The set, and what its members have seen between them.
        splits: What each member has seen.
    """
    chosen = division.split.validation
    if not len(chosen):
        chosen = np.setdiff1d(reduce(np.union1d, [split.validation for split in splits]), division.split.test)
    may_judge = np.column_stack([~np.isin(chosen, split.train) for split in splits])
    manifest = division.manifest
    if not len(chosen) or len(np.unique(manifest.label_indices[chosen])) < len(manifest.labels):
        msg = (
            f"{manifest.root}: the members' validation scans lack a class, so no temperature fits; train other members"
        )
        raise DatasetError(msg)
    return HeldOutData(inputs[chosen], manifest.label_indices[chosen], manifest.group_indices[chosen], may_judge)


def folder_scans(
    folder: Path, division: SplitAssignment, recipe: Recipe, members: int, cache: Path, progress: Progress = silent
) -> HeldOutData:
    """Take labelled scans from elsewhere, without any picture of the set that the members come from.

    Args:
        folder: Holds the classes of the members.
        division: The set the members come from.
        recipe: How a scan becomes network input.
        members: How many members there are; all of them judge every scan.
        cache: The folder that keeps which pictures two sets share.
        progress: Hears how far it is.

    Raises:
        DatasetError: The folder does not tell every class, or nothing new is left of one.
    """
    manifest = division.manifest
    everything = SourceData(manifest, np.arange(len(manifest.records)), cache)
    site = read_external_site(folder, manifest.labels, everything, progress)
    found = {scan.label for scan in site.scans}
    missing = [name for name in manifest.labels.names if name not in found]
    if missing:
        without = ", ".join(missing)
        msg = f"{folder}: must hold new scans of every class, got none of {without}; take a folder that has some"
        raise DatasetError(msg)
    labels = np.array([manifest.labels.index(scan.label) for scan in site.scans], dtype=np.int64)
    may_judge = np.ones((len(labels), members), dtype=np.bool_)
    return HeldOutData(site_inputs(site, recipe, progress), labels, site.groups, may_judge)


def score_members(graph: Path, inputs: InputBatch, progress: Progress = silent) -> EngineOutput:
    """Run a graph over scans, a few at a time.

    Args:
        graph: The graph.
        inputs: At least one scan ``(n, h, w)``; may be memory-mapped.
        progress: Hears how far it is.
    """
    engine, scans = OnnxEngine(graph), len(inputs)
    parts = []
    for start in range(0, scans, _BATCH):
        parts.append(engine.run(inputs[start : start + _BATCH]))
        progress("hearing members", min(start + _BATCH, scans), scans)
    return EngineOutput.join(parts)


def compare_graphs(packed: Path, members: Sequence[Path], inputs: InputBatch) -> GraphParity:
    """Hold an ensemble's graph to the mean of what its members' own graphs say.

    Args:
        packed: The ensemble's graph.
        members: Its members' graphs.
        inputs: Scans to compare on ``(n, h, w)``; the first 200 will do.

    Raises:
        ParityError: They differ by more than a network and its export may.
    """
    some = inputs[:_PARITY_SCANS]
    together = score_members(packed, some)
    alone = [score_members(member, some) for member in members]
    logits, class_maps = (
        float(np.abs(getattr(together, name) - np.mean([getattr(one, name) for one in alone], axis=0)).max())
        for name in ("logits", "class_maps")
    )
    if not (logits <= _LOGITS and class_maps <= _CLASS_MAPS):
        msg = (
            f"the packed graph must give the mean of its {len(members)} members to {_LOGITS:g} in logits and "
            f"{_CLASS_MAPS:g} in class maps, got {logits:.3g} and {class_maps:.3g}; export the members again"
        )
        raise ParityError(msg)
    return GraphParity(n=len(some), logits=logits, class_maps=class_maps)
