from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, Split, make_split
from brainslice.dataset.splits.split_assignment import SplitAssignment, join_splits
from brainslice.errors import DatasetError, ParityError
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.models.ensemble import pack_graphs
from brainslice.phantom import write_phantoms
from brainslice.preprocessing.recipe import Recipe
from brainslice.training.ensemble_scoring import (
    HeldOutData,
    compare_graphs,
    folder_scans,
    held_out_scans,
    score_members,
)
from stand_in import SIZE, SLOPES, write_graph

OTHER = (0.0, 0.02, -0.03, 0.01)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two members and their ensemble."""
    folder = tmp_path_factory.mktemp("graphs")
    one, other, packed = (folder / f"{name}.onnx" for name in ("one", "other", "packed"))
    write_graph(one, SLOPES)
    write_graph(other, OTHER)
    pack_graphs([one, other], packed)
    return one, other, packed


def splits_of(manifest: Manifest, *folds: tuple[int, int]) -> list[Split]:
    return [make_split(manifest, Protocol.CLEAN, test, choose) for test, choose in folds]


def held_out(scans: np.ndarray, manifest: Manifest, splits: list[Split]) -> HeldOutData:
    return held_out_scans(scans, SplitAssignment(manifest, join_splits(manifest, splits)), splits)


def test_members_of_one_split_all_score_its_validation_scans(manifest: Manifest, scans: np.ndarray) -> None:
    splits = splits_of(manifest, (0, 1), (0, 1))
    found = held_out(scans, manifest, splits)
    assert np.array_equal(found.inputs, scans[splits[0].validation])
    assert found.eligible.all()
    assert found.weights == 2


def test_scans_are_scored_by_members_they_did_not_train(manifest: Manifest, scans: np.ndarray) -> None:
    splits = splits_of(manifest, (0, 1), (0, 2))
    found = held_out(scans, manifest, splits)
    rows = np.union1d(splits[0].validation, splits[1].validation)
    assert np.array_equal(found.inputs, scans[rows])
    assert np.array_equal(found.eligible, np.column_stack([~np.isin(rows, split.train) for split in splits]))
    assert found.weights == 1
    assert not set(rows) & set(splits[0].test)


def test_scans_that_trained_no_member_are_preferred(manifest: Manifest, scans: np.ndarray) -> None:
    # Fold 1 chose for the first and tests the second, which it did not train either.
    splits = splits_of(manifest, (0, 1), (1, 2))
    found = held_out(scans, manifest, splits)
    assert np.array_equal(found.inputs, scans[splits[0].validation])
    assert found.weights == 2


def test_average_is_over_eligible_members(
    graphs: tuple[Path, Path, Path], manifest: Manifest, scans: np.ndarray
) -> None:
    splits = splits_of(manifest, (0, 1), (0, 2))
    found = held_out(scans, manifest, splits)
    one, other = (OnnxEngine(path).run(found.inputs).logits for path in graphs[:2])
    average = found.average(score_members(graphs[2], found.inputs))
    assert average == pytest.approx(np.where(found.eligible[:, :1], one, other), abs=1e-5)


def test_average_of_all_members_is_the_ensemble(graphs: tuple[Path, Path, Path], scans: np.ndarray) -> None:
    everyone = HeldOutData(scans, np.zeros(len(scans), int), np.arange(len(scans)), np.ones((len(scans), 2), bool))
    assert everyone.average(score_members(graphs[2], scans)) == pytest.approx(
        OnnxEngine(graphs[2]).run(scans).logits, abs=1e-5
    )


def test_class_without_validation_scans_raises(manifest: Manifest, scans: np.ndarray) -> None:
    splits = splits_of(manifest, (0, 1))
    glioma = manifest.labels.index("glioma")
    poor = splits[0].validation[manifest.label_indices[splits[0].validation] != glioma]
    assignment = SplitAssignment(manifest, Split(Protocol.CLEAN, splits[0].train, poor, splits[0].test, 0))
    with pytest.raises(DatasetError, match="validation scans lack a class"):
        held_out_scans(scans, assignment, splits)


def test_packed_graph_that_differs_raises(graphs: tuple[Path, Path, Path], scans: np.ndarray) -> None:
    one, other, packed = graphs
    found = compare_graphs(packed, [one, other], scans)
    assert found.n == min(len(scans), 200)
    assert found.logits < 1e-5
    assert found.class_maps < 1e-5
    with pytest.raises(ParityError, match="mean of its 2 members"):
        compare_graphs(packed, [one, one], scans)


def test_single_network_has_no_member_logits(
    graphs: tuple[Path, Path, Path], manifest: Manifest, scans: np.ndarray
) -> None:
    found = held_out(scans, manifest, splits_of(manifest, (0, 1), (0, 2)))
    with pytest.raises(ParityError, match="must return its members' logits"):
        found.average(score_members(graphs[0], found.inputs))


def test_folder_without_a_class_raises(manifest: Manifest, tmp_path: Path) -> None:
    write_phantoms(tmp_path, patients_per_class=4, slices=2, seed=78)
    for folder in [path for path in tmp_path.rglob("*") if path.is_dir() and path.name == "glioma"]:
        shutil.rmtree(folder)
    assignment = SplitAssignment(manifest, make_split(manifest, Protocol.CLEAN))
    with pytest.raises(DatasetError, match="glioma"):
        folder_scans(tmp_path, assignment, Recipe(size=SIZE), 2, tmp_path / "cache")
