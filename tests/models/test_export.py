from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from brainslice.errors import ConfigError, ParityError, ResourceError
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.models.build import Network, NetworkConfig, build_network
from brainslice.models.export import (
    ParityReport,
    export_frozen_part,
    export_onnx,
    parity,
    predict_network,
    save_network,
)
from brainslice.models.head import FEATURES, HEAD
from brainslice.models.weights import load_arrays, weights_digest

SMALL = np.random.default_rng(2).integers(0, 256, (5, 32, 32), dtype=np.uint8)

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def engine(path: Path) -> Run:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, maps = session.run(["logits", "class_maps"], {"scan": inputs[..., None].astype(np.float32)})
        return logits, maps

    return run


@pytest.fixture(scope="module")
def exported(make_tiny: Callable[..., Network], tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    network = make_tiny()
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(network, path)
    return network, path


def test_equal_networks_give_equal_files(
    exported: tuple[Network, Path], make_tiny: Callable[..., Network], tmp_path: Path
) -> None:
    again = tmp_path / "again.onnx"
    export_onnx(make_tiny(), again)
    assert again.read_bytes() == exported[1].read_bytes()
    save_network(make_tiny(), tmp_path / "one.keras")
    time.sleep(2)  # archives hold times in steps of two seconds
    save_network(make_tiny(), tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.keras") as archive:
        # Keras writes addresses of memory, which differ between processes.
        assert not re.search(rb'"shared_object_id": \d{4}', archive.read("config.json"))
        assert b"1980-01-01@00:00:00" in archive.read("metadata.json")


def test_the_graph_takes_a_scan_and_nothing_else(exported: tuple[Network, Path]) -> None:
    graph = onnx.load(exported[1]).graph
    shapes = {
        value.name: [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    channels = exported[0].model.get_layer(FEATURES).output.shape[-1]
    assert shapes == {
        "scan": ["n", 32, 32, 1],
        "logits": ["n", 3],
        "class_maps": ["n", 4, 4, 3],
        "features": ["n", channels],
    }


def test_the_features_are_what_the_head_makes_the_logits_of(exported: tuple[Network, Path]) -> None:
    network, path = exported
    output = OnnxEngine(path).run(SMALL)
    kernel, bias = network.model.get_layer(HEAD).get_weights()
    np.testing.assert_allclose(output.features @ kernel + bias, output.logits, atol=1e-5)


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_scans_gives_the_networks_own_numbers(exported: tuple[Network, Path], count: int) -> None:
    network, path = exported
    found = parity(network, engine(path), SMALL[:count])
    assert found.scans == count
    assert found.logits < 1e-5
    assert found.class_maps < 1e-5
    found.require()


def test_the_frozen_part_is_exported_alone(tiny: Network, tmp_path: Path) -> None:
    export_frozen_part(tiny, tmp_path / "frozen_part.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "frozen_part.onnx", providers=["CPUExecutionProvider"])
    scans = SMALL[..., None].astype(np.float32)
    (activations,) = session.run(None, {"scan": scans})
    assert np.ptp(activations) > 0.1
    np.testing.assert_allclose(activations, tiny.frozen_part(scans), atol=1e-5)


def test_exporting_says_nothing_and_leaves_nothing_else_behind(
    make_tiny: Callable[..., Network],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the previous one")
    export_onnx(make_tiny(), path)
    assert [found.name for found in tmp_path.iterdir()] == ["model.onnx"]
    assert path.stat().st_size > 1000
    assert capsys.readouterr() == ("", "")
    assert not caplog.records


def test_a_graph_that_asks_for_more_than_a_scan_is_refused_and_not_written(
    make_tiny: Callable[..., Network], tmp_path: Path
) -> None:
    # TensorFlow turns constants of this size into inputs of the graph, and says nothing.
    values = np.full((32, 32), 3.0)
    network = make_tiny(keras.layers.Normalization((1, 2), mean=values, variance=values))
    with pytest.raises(ParityError, match=r"must turn scan into class_maps, features, logits, got .*scan into"):
        export_onnx(network, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_another_backend_is_told_which_one_exports(
    tiny: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(ConfigError, match="tensorflow, got jax; set KERAS_BACKEND=tensorflow"):
        export_onnx(tiny, tmp_path / "model.onnx")


@pytest.mark.parametrize("output", [0, 1])
@pytest.mark.parametrize("wrong", [2e-3, np.nan])
def test_one_wrong_number_is_found_and_refused(exported: tuple[Network, Path], output: int, wrong: float) -> None:
    network, path = exported
    honest = engine(path)

    def run(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = honest(inputs)
        outputs[output].flat[7] += np.float32(wrong)
        return outputs

    with pytest.raises(ParityError, match=r"got .* on 5 scans"):
        parity(network, run, SMALL).require()


def test_an_answer_of_another_shape_is_no_parity(tiny: Network) -> None:
    def run(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, maps = predict_network(tiny, inputs)
        return logits[:, :2], maps

    found = parity(tiny, run, SMALL)
    assert np.isnan(found.logits)
    with pytest.raises(ParityError):
        found.require()


def test_comparing_nothing_proves_nothing(tiny: Network) -> None:
    with pytest.raises(ParityError, match="on 0 scans"):
        parity(tiny, lambda inputs: predict_network(tiny, inputs), SMALL[:0]).require()


def test_the_bars_are_those_of_the_caller() -> None:
    ParityReport(5e-3, 5e-3, 1).require(1e-2, 1e-2)
    with pytest.raises(ParityError):
        ParityReport(5e-5, 5e-3, 1).require()


def test_batches_are_joined_in_order(tiny: Network) -> None:
    many = np.random.default_rng(4).integers(0, 256, (70, 32, 32), dtype=np.uint8)
    logits, maps = predict_network(tiny, many)
    for place in (0, 31, 32, 69):
        np.testing.assert_allclose(logits[place], predict_network(tiny, many[place : place + 1])[0][0], atol=1e-5)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-5)


def test_a_saved_network_comes_back(tiny: Network, make_tiny: Callable[..., Network], tmp_path: Path) -> None:
    save_network(tiny, tmp_path / "model.keras")
    other = make_tiny(seed=9)
    load_arrays(other.model, tmp_path / "model.keras")
    assert weights_digest(other.model) == weights_digest(tiny.model)
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(SMALL[..., None])["logits"], tiny.model(SMALL[..., None])["logits"], atol=1e-6)


def test_a_saved_network_has_an_ending_keras_knows(tiny: Network, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.keras, got '\.h5'"):
        save_network(tiny, tmp_path / "model.h5")


@pytest.mark.parametrize("name", ["model.keras", "model.onnx"])
def test_a_full_disk_leaves_the_previous_file_as_it_was(tiny: Network, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"the previous one")
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(ResourceError, match="no space left"):
            (save_network if name.endswith("keras") else export_onnx)(tiny, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"the previous one"
    assert [found.name for found in tmp_path.iterdir()] == [name]


@pytest.mark.real
def test_a_pretrained_network_exports_within_the_bars_on_real_scans(
    imagenet_weights: Path, real_scans: Path, tmp_path: Path
) -> None:
    paths = [path for kind in (real_scans / "nickparvar" / "Testing").iterdir() for path in sorted(kind.iterdir())[:3]]
    inputs = np.stack([np.asarray(Image.open(path).convert("L").resize((96, 96))) for path in paths])
    network = build_network(NetworkConfig("efficientnetv2-b0", 96, weights=imagenet_weights, multi_level=True))
    export_onnx(network, tmp_path / "model.onnx")
    found = parity(network, engine(tmp_path / "model.onnx"), inputs)
    assert found.scans == 12
    found.require(logits=1e-4, class_maps=1e-3)
