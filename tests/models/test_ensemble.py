from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from brainslice.errors import BundleError
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.models.build import NetworkConfig
from brainslice.models.ensemble import pack_graphs
from brainslice.models.export import export_onnx, predict_network
from brainslice.models.head import HEAD
from small_training import small_network
from stand_in import SIZE, SLOPES, write_graph

SCANS = np.random.default_rng(4).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)
MEMBERS = (SLOPES, (0.0, 0.02, -0.03, 0.01), (0.01, 0.01, 0.02, -0.05))


def write_members(folder: Path, *slopes: tuple[float, ...]) -> list[Path]:
    paths = [folder / f"{place}.onnx" for place in range(len(slopes))]
    for path, own in zip(paths, slopes, strict=True):
        write_graph(path, own)
    return paths


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_members(tmp_path_factory.mktemp("members"), *MEMBERS)


@pytest.fixture(scope="module")
def packed(members: list[Path]) -> Path:
    path = members[0].with_name("packed.onnx")
    pack_graphs(members, path)
    return path


@pytest.fixture(scope="module")
def alone(members: list[Path]) -> list[EngineOutput]:
    return [OnnxEngine(path).run(SCANS) for path in members]


def test_logits_and_maps_are_the_means_of_the_members(packed: Path, alone: list[EngineOutput]) -> None:
    output = OnnxEngine(packed).run(SCANS)
    assert output.logits == pytest.approx(np.mean([one.logits for one in alone], axis=0), abs=1e-5)
    assert output.class_maps == pytest.approx(np.mean([one.class_maps for one in alone], axis=0), abs=1e-5)
    assert output.class_maps.mean(axis=(1, 2)) == pytest.approx(output.logits, abs=1e-5)


def test_every_member_is_heard_in_its_place(packed: Path, alone: list[EngineOutput]) -> None:
    output = OnnxEngine(packed).run(SCANS)
    assert output.member_logits is not None
    assert output.member_logits.shape == (5, 3, 4)
    assert output.member_logits == pytest.approx(np.stack([one.logits for one in alone], axis=1), abs=1e-5)
    assert output.features == pytest.approx(np.concatenate([one.features for one in alone], axis=1), abs=1e-5)


def test_any_number_of_scans_can_be_asked(packed: Path) -> None:
    output = OnnxEngine(packed).run(SCANS[2:3])
    assert output.logits == pytest.approx(OnnxEngine(packed).run(SCANS).logits[2:3], abs=1e-5)


def test_what_members_have_in_common_is_stored_and_run_once(packed: Path, members: list[Path]) -> None:
    kinds = [node.op_type for node in onnx.load(packed).graph.node]
    assert kinds.count("AveragePool") == 1
    assert kinds.count("Conv") == len(members)
    names = [tensor.name for tensor in onnx.load(packed).graph.initializer]
    assert sum("slopes" in name for name in names) == len(members)
    assert sum("bias" in name for name in names) == 1


def test_a_member_twice_weighs_twice(members: list[Path], alone: list[EngineOutput], tmp_path: Path) -> None:
    pack_graphs([members[0], members[0], members[1]], tmp_path / "twice.onnx")
    output = OnnxEngine(tmp_path / "twice.onnx").run(SCANS)
    assert output.logits == pytest.approx((2 * alone[0].logits + alone[1].logits) / 3, abs=1e-5)
    assert output.member_logits is not None
    assert np.array_equal(output.member_logits[:, 0], output.member_logits[:, 1])


def test_layers_with_other_numbers_are_never_taken_for_the_same(tmp_path: Path) -> None:
    nearly = (SLOPES[0] + 1e-6, *SLOPES[1:])
    paths = write_members(tmp_path, SLOPES, nearly)
    pack_graphs(paths, tmp_path / "packed.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "packed.onnx").graph.node]
    assert kinds.count("Conv") == 2


def test_a_graph_without_features_is_one_line(members: list[Path], tmp_path: Path) -> None:
    model = onnx.load(members[0])
    del model.graph.output[2]
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(BundleError, match=r"old\.onnx: the graph lacks features; .*train this member again"):
        pack_graphs([members[0], tmp_path / "old.onnx"], tmp_path / "packed.onnx")
    assert not (tmp_path / "packed.onnx").exists()


def test_graphs_in_two_versions_of_the_language_are_one_line(members: list[Path], tmp_path: Path) -> None:
    model = onnx.load(members[0])
    newer = helper.make_model(model.graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(newer, tmp_path / "newer.onnx")
    with pytest.raises(BundleError, match=r"newer\.onnx: must use the operators"):
        pack_graphs([members[0], tmp_path / "newer.onnx"], tmp_path / "packed.onnx")


def test_networks_with_equal_frozen_layers_share_them(tmp_path: Path) -> None:
    plan = NetworkConfig(size=64, dropout=0.3, weights=None, seed=3)
    networks = [small_network(plan), small_network(plan)]
    rng = np.random.default_rng(5)
    for name in ("last", HEAD):
        layer = networks[1].model.get_layer(name)
        layer.set_weights([array + rng.normal(0, 0.1, array.shape) for array in layer.get_weights()])
    paths = [tmp_path / "one.onnx", tmp_path / "other.onnx"]
    for network, path in zip(networks, paths, strict=True):
        export_onnx(network, path)
    pack_graphs(paths, tmp_path / "packed.onnx")
    scans = np.random.default_rng(6).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    logits, maps = zip(*(predict_network(network, scans) for network in networks), strict=True)
    output = OnnxEngine(tmp_path / "packed.onnx").run(scans)
    assert output.member_logits == pytest.approx(np.stack(logits, axis=1), abs=1e-4)
    assert output.logits == pytest.approx(np.mean(logits, axis=0), abs=1e-4)
    assert output.class_maps == pytest.approx(np.mean(maps, axis=0), abs=1e-3)
    kinds = [node.op_type for node in onnx.load(tmp_path / "packed.onnx").graph.node]
    alone = [[node.op_type for node in onnx.load(path).graph.node].count("Conv") for path in paths]
    assert max(alone) < kinds.count("Conv") < sum(alone)
