"""Score the members of an ensemble on held-out scans, each scan by the members it did not train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from brainslice.array_types import Bool
from brainslice.arrays import Groups, InputBatch, Labels, Logits
from brainslice.bundle import GraphParity
from brainslice.dataset import SourceData, Split, SplitAssignment, read_external_site, site_inputs
from brainslice.errors import DatasetError, ParityError
from brainslice.inference import EngineOutput, OnnxEngine
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress, silent
from brainslice.training.bundle import run_engine

_PARITY_SCANS = 200
_LOGITS, _CLASS_MAPS = 1e-4, 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutData:
    """Labelled scans, and which members may score each of them.

    Attributes:
        inputs: Network inputs ``(n, h, w)``.
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
        """The least number of members that score a scan."""
        return int(self.eligible.sum(axis=1).min())

    def average(self, output: EngineOutput) -> Logits:
        """Average the logits of the members that may score each scan.

        Returns:
            Logits ``(n, k)``.

        Raises:
            ParityError: The graph does not return its members' logits.
        """
        if output.member_logits is None:
            msg = "the packed graph must return its members' logits, got none; install the versions of requirements.txt"
            raise ParityError(msg)
        weights = self.eligible / self.eligible.sum(axis=1, keepdims=True)
        return np.asarray((output.member_logits * weights[..., np.newaxis]).sum(axis=1))


def held_out_scans(inputs: InputBatch, assignment: SplitAssignment, splits: Sequence[Split]) -> HeldOutData:
    """Select the validation scans that trained no member; where there are none, all validation scans of members."""
    rows = assignment.split.validation
    if not len(rows):
        rows = np.setdiff1d(reduce(np.union1d, [split.validation for split in splits]), assignment.split.test)
    eligible = np.column_stack([~np.isin(rows, split.train) for split in splits])
    manifest = assignment.manifest
    if not len(rows) or len(np.unique(manifest.label_indices[rows])) < len(manifest.labels):
        msg = (
            f"{manifest.root}: the members' validation scans lack a class, so no temperature fits; train other members"
        )
        raise DatasetError(msg)
    return HeldOutData(inputs[rows], manifest.label_indices[rows], manifest.group_indices[rows], eligible)


def folder_scans(
    folder: Path, assignment: SplitAssignment, recipe: Recipe, members: int, cache: Path, progress: Progress = silent
) -> HeldOutData:
    """Read labelled scans of another site, without near-duplicates of the members' set.

    Args:
        folder: Class folders.
        assignment: The set the members were trained on.
        recipe: The preprocessing.
        members: Number of members; all of them score every scan.
        cache: The folder of decoded scans and comparisons.
        progress: Called with the step and how far it is.

    Raises:
        DatasetError: A class has no folder, or no new scans.
    """
    manifest = assignment.manifest
    source = SourceData(manifest, np.arange(len(manifest.records)), cache)
    site = read_external_site(folder, manifest.labels, source, progress)
    found = {scan.label for scan in site.scans}
    missing = ", ".join(name for name in manifest.labels.names if name not in found)
    if missing:
        msg = f"{folder}: must hold new scans of every class, got none of {missing}; use a folder that has some"
        raise DatasetError(msg)
    labels = np.array([manifest.labels.index(scan.label) for scan in site.scans], dtype=np.int64)
    eligible = np.ones((len(labels), members), dtype=np.bool_)
    return HeldOutData(site_inputs(site, recipe, progress), labels, site.groups, eligible)


def score_members(graph: Path, inputs: InputBatch, progress: Progress = silent) -> EngineOutput:
    """Run a graph over scans, in batches."""
    return run_engine(OnnxEngine(graph), inputs, progress, "scoring members")


def compare_graphs(packed: Path, members: Sequence[Path], inputs: InputBatch) -> GraphParity:
    """Compare an ensemble's graph with the mean of its members' graphs, on the first 200 scans.

    Raises:
        ParityError: They differ by more than the tolerance of an export.
    """
    some = inputs[:_PARITY_SCANS]
    ensemble = score_members(packed, some)
    outputs = [score_members(member, some) for member in members]
    logits, class_maps = (
        float(np.abs(getattr(ensemble, name) - np.mean([getattr(one, name) for one in outputs], axis=0)).max())
        for name in ("logits", "class_maps")
    )
    if not (logits <= _LOGITS and class_maps <= _CLASS_MAPS):
        msg = (
            f"the packed graph must give the mean of its {len(members)} members to {_LOGITS:g} in logits and "
            f"{_CLASS_MAPS:g} in class maps, got {logits:.3g} and {class_maps:.3g}; export the members again"
        )
        raise ParityError(msg)
    return GraphParity(n=len(some), logits=logits, class_maps=class_maps)
