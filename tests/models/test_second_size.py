from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.models.build import Network, NetworkConfig, with_contralateral
from brainslice.models.export import export_onnx, predict_network
from brainslice.models.head import HEAD
from brainslice.models.second_size import add_second_size
from small_training import small_network

PLAN = NetworkConfig(size=64, weights=None, head="pyramid", healthy=2, dropout=0.3, seed=4)
SIZES = (96, 128)
SCANS = np.random.default_rng(2).integers(0, 256, (5, 64, 64), dtype=np.uint8)


def network_at(size: int) -> Network:
    found = small_network(dataclasses.replace(PLAN, size=size))
    layer = found.model.get_layer(HEAD)
    layer.set_weights([np.random.default_rng(3).normal(0, 3, layer.kernel.shape)])
    return with_contralateral(found, 0.4)


def resized(arrays: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(keras.ops.image.resize(arrays.astype(np.float32), (size, size), interpolation="bilinear"))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sizes") / "own.onnx"
    export_onnx(network_at(64), path)
    return path


@pytest.fixture(scope="module", params=SIZES)
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def output(graph: Path, size: int) -> EngineOutput:
    add_second_size(graph, graph.with_name(f"{size}.onnx"), size, 2)
    return OnnxEngine(graph.with_name(f"{size}.onnx")).with_feature_maps().run(SCANS)


def test_logits_and_maps_are_means_over_both_sizes(output: EngineOutput, size: int) -> None:
    own_logits, own_maps = predict_network(network_at(64), SCANS)
    found = network_at(size).model.predict(resized(SCANS[..., np.newaxis], size), verbose=0)
    logits, maps = found["logits"], found["class_maps"]
    np.testing.assert_allclose(output.logits, (own_logits + logits) / 2, atol=1e-4)
    np.testing.assert_allclose(output.class_maps, (own_maps + resized(maps, own_maps.shape[1])) / 2, atol=1e-4)
    assert np.abs(logits - own_logits).max() > 0.01


def test_the_healthy_class_stays_at_zero(output: EngineOutput) -> None:
    np.testing.assert_allclose(output.logits[:, 2], 0, atol=1e-6)
    assert not output.class_maps[..., 2].any()


def test_features_and_the_size_of_the_file_stay(graph: Path, output: EngineOutput, size: int) -> None:
    own = OnnxEngine(graph).with_feature_maps().run(SCANS)
    np.testing.assert_array_equal(output.features, own.features)
    assert output.feature_maps is not None
    assert own.feature_maps is not None
    np.testing.assert_array_equal(output.feature_maps, own.feature_maps)
    weights = [
        sum(len(array.raw_data) for array in onnx.load(path).graph.initializer)
        for path in (graph, graph.with_name(f"{size}.onnx"))
    ]
    assert weights[1] - weights[0] < 1000


@pytest.mark.usefixtures("output")
def test_equal_graphs_give_equal_files(graph: Path, size: int) -> None:
    add_second_size(graph, graph.with_name("again.onnx"), size, 2)
    assert graph.with_name("again.onnx").read_bytes() == graph.with_name(f"{size}.onnx").read_bytes()


def test_another_network_sees_the_enlarged_scan(graph: Path) -> None:
    other = network_at(96)
    layer = other.model.get_layer(HEAD)
    layer.set_weights([np.random.default_rng(9).normal(0, 3, layer.kernel.shape)])
    export_onnx(other, graph.with_name("other.onnx"))
    add_second_size(graph, graph.with_name("both.onnx"), 96, 2, graph.with_name("other.onnx"))
    output = OnnxEngine(graph.with_name("both.onnx")).run(SCANS)
    own_logits, own_maps = predict_network(network_at(64), SCANS)
    found = other.model.predict(resized(SCANS[..., np.newaxis], 96), verbose=0)
    np.testing.assert_allclose(output.logits, (own_logits + found["logits"]) / 2, atol=1e-4)
    maps = resized(found["class_maps"], own_maps.shape[1])
    np.testing.assert_allclose(output.class_maps, (own_maps + maps) / 2, atol=1e-4)
    # All but the head is equal and stored once.
    weights = [path.stat().st_size for path in (graph, graph.with_name("other.onnx"), graph.with_name("both.onnx"))]
    assert weights[2] < 1.5 * weights[0]
