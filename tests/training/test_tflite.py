"""The TensorFlow Lite file of a bundle, run as its user would run it."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import brainslice
from brainslice.bundle.store import update_bundle
from brainslice.dataset.manifest import Manifest
from brainslice.errors import BundleError, ParityError, UsageError
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.predictor import Predictor
from brainslice.models.backbones import get_backbone
from brainslice.models.build import Network, NetworkConfig, precision, set_trainable
from brainslice.models.head import TOP, attach_head
from brainslice.paths import ProjectPaths
from brainslice.training import pipeline, tflite
from brainslice.training.tflite import _in_float32, export_tflite
from projects import run_eagerly
from small_training import SMALL
from stand_in import SIZE, config, copy_project


def pyramid_network(plan: NetworkConfig) -> Network:
    """Build two layers in place of a backbone, and the head of brainslice's own networks."""
    keras.utils.set_random_seed(plan.seed)
    scan = keras.Input((plan.size, plan.size, 1), name="scan")
    values = keras.layers.Rescaling(1 / 128, -1.0)(scan)
    cut = keras.layers.Conv2D(8, 8, 8, activation="relu", name=get_backbone(plan.backbone).cut)(values)
    top = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu", name=TOP)(cut)
    outputs = attach_head(plan, cut, keras.Model(scan, top))
    network = Network(plan, keras.Model(scan, outputs), keras.Model(scan, cut), keras.Model(cut, outputs))
    set_trainable(network, "all")
    return network


@pytest.fixture(scope="module", params=["one network", "two networks"])
def exported(prepared: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The file of a bundle with a temperature of its own."""
    project = copy_project(prepared, tmp_path_factory.mktemp("exported") / "project")
    second = f"model.second_network={str(request.param == 'two networks').lower()}"
    chosen = config(*SMALL, "model.head=pyramid", "train.batch_size=4", second)
    with pytest.MonkeyPatch.context() as patched, run_eagerly(traced=request.config.getoption("--slow")):
        patched.setattr(pipeline, "build_network", pyramid_network)
        pipeline.train(ProjectPaths.of(project, chosen), chosen)
    update_bundle(project / "models" / "bundle", temperature=0.2)
    export_tflite(project / "models" / "bundle", project / "model.tflite")
    return project / "model.tflite"


def test_drawn_scans_get_the_bundle_s_probabilities(exported: Path) -> None:
    usage = json.loads(exported.with_suffix(".json").read_text(encoding="utf-8"))
    recipe = brainslice.Recipe.from_json(usage["preprocessing"])
    predictor = Predictor.open(exported.parent / "models" / "bundle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(str(exported))
    run = interpreter.get_signature_runner()
    for path in Manifest.read(exported.parent / "data").paths[:12]:
        scan = recipe(brainslice.read_scan(path)).astype(np.float32).reshape(usage["input"]["shape"])
        found = run(scan=scan)["probabilities"][0]
        answer = predictor.predict(path).probabilities
        assert dict(zip(usage["classes"], found.tolist(), strict=True)) == pytest.approx(answer, abs=1e-4)
        assert max(answer.values()) > 0.3


def test_the_bundle_sees_two_sizes(exported: Path) -> None:
    info = Predictor.open(exported.parent / "models" / "bundle").bundle.info
    assert info.second_size == round(1.3 * SIZE / 32) * 32


def test_the_file_beside_says_all_that_a_user_needs(exported: Path) -> None:
    usage = json.loads(exported.with_suffix(".json").read_text(encoding="utf-8"))
    info = Predictor.open(exported.parent / "models" / "bundle").bundle.info
    assert usage["schema"] == "brainslice/tflite/1"
    assert usage["file"] == {"name": "model.tflite", "sha256": hashlib.sha256(exported.read_bytes()).hexdigest()}
    assert usage["bundle"] == {"name": info.name, "digest": info.digest}
    assert (usage["temperature"], usage["temperature_applied"]) == (0.2, True)
    assert (usage["healthy"], usage["threshold"], usage["warnings"]) == ("no_tumor", info.threshold, ["phantom"])
    assert usage["largest_difference"] <= 1e-4


def test_other_probabilities_are_refused_and_nothing_is_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.Model, "export", lambda _, path, **__: Path(path).touch())
    monkeypatch.setattr(tflite, "_run", lambda _, inputs: np.full((len(inputs), 4), 0.25))
    with pytest.raises(ParityError, match="probabilities must equal those of"):
        export_tflite(exported.parent / "models" / "bundle", tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_mixed_precision_is_converted_in_32_bits() -> None:
    with precision("mixed_float16"):
        network = pyramid_network(NetworkConfig(size=64, weights=None, head="pyramid", healthy=2))
    scans = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    model = _in_float32(network.model)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    expected = np.asarray(network.model(scans)["logits"])
    assert np.asarray(model(scans)["logits"]) == pytest.approx(expected, abs=1e-2)


def test_a_bundle_without_keras_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds no model\.keras, as the shipped bundle and ensembles do not"):
        export_tflite(DEFAULT_BUNDLE, tmp_path / "model.tflite")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.tflite, got '\.onnx'"):
        export_tflite(DEFAULT_BUNDLE, tmp_path / "model.onnx")
