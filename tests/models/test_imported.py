"""Classifiers of other projects: what is read, and what is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.decision.temperature import Temperature
from brainslice.errors import ConfigError
from brainslice.models.export import predict_network
from brainslice.models.head import FEATURES
from brainslice.models.imported import read_classifier

SIZE, CLASSES = 48, 4
ORDER = (2, 0, 3, 1)
Layers = list[keras.layers.Layer]


@pytest.fixture(scope="module")
def scans() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)


def trunk(channels: int = 3, size: int | None = SIZE) -> Layers:
    return [
        keras.Input((size, size, channels)),
        keras.layers.RandomFlip("horizontal"),
        keras.layers.Conv2D(6, 5, 4, activation="relu", bias_initializer="normal"),
        keras.layers.BatchNormalization(),
    ]


def pooled(*last: keras.layers.Layer, channels: int = 3, size: int | None = SIZE) -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential([*trunk(channels, size), keras.layers.GlobalAveragePooling2D(), *last])


def flat(*last: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(3)
    hidden = keras.layers.Dense(9, activation="relu")
    return keras.Sequential([*trunk(), keras.layers.Flatten(), hidden, keras.layers.Dropout(0.4), *last])


def nested() -> keras.Model:
    """Transfer learning: another model inside, its head a layer of softmax."""
    inner = keras.Sequential(trunk())
    inputs = keras.Input((SIZE, SIZE, 3))
    values = keras.layers.GlobalAveragePooling2D()(inner(inputs))
    values = keras.layers.Dense(CLASSES, bias_initializer="normal")(keras.layers.Dropout(0.3)(values))
    return keras.Model(inputs, keras.layers.Softmax()(values))


def normalised(*, shared: bool) -> keras.Model:
    """Normalisation inside a model inside, as ``keras.applications.EfficientNetB0`` has it."""
    mean, variance = (110.0, 900.0) if shared else ([120.0, 110.0, 100.0], [400.0, 900.0, 1600.0])
    axis = None if shared else -1
    normalisation = keras.layers.Normalization(axis=axis, mean=mean, variance=variance)
    keras.utils.set_random_seed(3)
    first, *rest = trunk()
    inner = keras.Sequential([first, normalisation, *rest])
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, dense()(keras.layers.GlobalAveragePooling2D()(inner(inputs))))


def dense(units: int = CLASSES, activation: str | None = "softmax", **options: object) -> keras.layers.Layer:
    return keras.layers.Dense(units, activation=activation, bias_initializer="normal", **options)


def saved(model: keras.Model, path: Path) -> Path:
    model.save(path)
    return path


def probabilities(model: keras.Model, scans: np.ndarray, scale: float = 1.0) -> np.ndarray:
    channels = model.inputs[0].shape[-1]
    batch = np.repeat(scans[..., np.newaxis].astype(np.float32) * scale, channels, axis=-1)
    return np.asarray(model.predict(batch, verbose=0))


MODELS: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "softmax": (lambda: pooled(dense()), 11),
    "dropout": (lambda: pooled(keras.layers.Dropout(0.5), dense()), 11),
    "grey": (lambda: pooled(dense(use_bias=False), channels=1), 11),
    "activation": (lambda: pooled(dense(activation=None), keras.layers.Activation("softmax")), 11),
    "nested": (nested, 11),
    "normalised by channel": (lambda: normalised(shared=False), 11),
    "normalised alike": (lambda: normalised(shared=True), 11),
    "flat": (lambda: flat(dense()), 1),
}


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_of_the_file_in_the_order_asked_for(
    name: str, ending: str, scans: np.ndarray, tmp_path: Path
) -> None:
    make, positions = MODELS[name]
    model = make()
    network = read_classifier(saved(model, tmp_path / f"model.{ending}"), ORDER, "0..255")
    logits, class_maps = predict_network(network, scans)
    assert Temperature(1.0).probabilities(logits) == pytest.approx(probabilities(model, scans)[:, ORDER], abs=1e-5)
    assert network.map_shape == (positions, positions)
    assert class_maps.mean(axis=(1, 2)) == pytest.approx(logits, abs=1e-4)


def test_logits_are_taken_as_they_are(scans: np.ndarray, tmp_path: Path) -> None:
    model = pooled(dense(activation=None))
    network = read_classifier(saved(model, tmp_path / "model.keras"), range(CLASSES), "0..1")
    logits, _ = predict_network(network, scans)
    assert logits == pytest.approx(probabilities(model, scans, 1 / 255), abs=1e-4)


def test_one_sigmoid_output_is_two_classes(scans: np.ndarray, tmp_path: Path) -> None:
    model = pooled(dense(1, "sigmoid"))
    network = read_classifier(saved(model, tmp_path / "model.keras"), (1, 0), "0..255")
    found = Temperature(1.0).probabilities(predict_network(network, scans)[0])
    assert found[:, 0] == pytest.approx(probabilities(model, scans)[:, 0], abs=1e-5)


@pytest.mark.parametrize(("pixels", "mode"), [("-1..1", "tf"), ("caffe", "caffe"), ("torch", "torch")])
def test_grey_values_are_scaled_as_keras_scales_them(pixels: str, mode: str, scans: np.ndarray, tmp_path: Path) -> None:
    model = pooled(dense())
    network = read_classifier(saved(model, tmp_path / "model.keras"), range(CLASSES), pixels)
    colours = np.repeat(scans[..., np.newaxis].astype(np.float32), 3, axis=-1)
    expected = model.predict(keras.applications.imagenet_utils.preprocess_input(colours, mode=mode), verbose=0)
    found = Temperature(1.0).probabilities(predict_network(network, scans)[0])
    assert found == pytest.approx(np.asarray(expected), abs=1e-5)


def test_the_dropout_before_the_last_layer_is_kept(tmp_path: Path) -> None:
    network = read_classifier(saved(flat(dense()), tmp_path / "model.keras"), range(CLASSES), "0..255")
    assert network.model.get_layer(FEATURES).rate == 0.4


def test_an_open_size_has_to_be_given(tmp_path: Path) -> None:
    path = saved(pooled(dense(), size=None), tmp_path / "model.keras")
    with pytest.raises(ConfigError, match="takes pictures of any size; give --image-size"):
        read_classifier(path, range(CLASSES), "0..255")
    assert read_classifier(path, range(CLASSES), "0..255", 64).config.size == 64


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: pooled(dense(3)), {}, "must have 4 classes as the prepared set has, got 3"),
        (lambda: pooled(dense()), {"size": 64}, "square and of the size that is given, got 48 x 48 and 64"),
        (lambda: pooled(dense()), {"pixels": "0-1"}, r"pixels must be one of 0\.\.255, 0\.\.1, .* got '0-1'"),
        (lambda: pooled(dense(), channels=1), {"pixels": "caffe"}, "models with three channels, this one has 1"),
        (lambda: pooled(dense(activation="sigmoid")), {}, "softmax or logits, or one sigmoid, got 4 x sigmoid"),
        (lambda: pooled(dense(), channels=4), {}, r"one input \(n, h, w, 1\) or \(n, h, w, 3\)"),
        (lambda: keras.Sequential(trunk()), {}, "Dense layer .* must end the model, got BatchNormalization"),
    ],
)
def test_models_that_do_not_fit_are_refused(
    model: Callable[[], keras.Model], options: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = saved(model(), tmp_path / "model.keras")
    with pytest.raises(ConfigError, match=message) as caught:
        read_classifier(path, range(CLASSES), **{"pixels": "0..255", **options})
    assert "\n" not in str(caught.value)


class Own(keras.layers.Layer):
    """A layer that no file may bring along."""

    def call(self, inputs: object) -> object:
        return inputs


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", ["Own", "Lambda"])
def test_layers_with_code_of_their_own_are_refused(name: str, ending: str, tmp_path: Path) -> None:
    layer = Own() if name == "Own" else keras.layers.Lambda(lambda values: values * 2)
    path = saved(pooled(layer, dense()), tmp_path / f"model.{ending}")
    with pytest.raises(ConfigError, match=f"{name}.*Keras' own layers only|Keras' own layers only, got .*{name}"):
        read_classifier(path, range(CLASSES), "0..255")


def test_a_description_that_names_another_module_imports_nothing(tmp_path: Path) -> None:
    path = saved(pooled(dense()), tmp_path / "model.keras")
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["config.json"])
    description["config"]["layers"][-1] |= {"module": "evil_module", "class_name": "Anything"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"config.json": json.dumps(description).encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(ConfigError, match=r"got evil_module\.Anything"):
        read_classifier(path, range(CLASSES), "0..255")


@pytest.mark.parametrize("kind", ["missing", "text", "weights", "zip", "deep"])
def test_files_that_hold_no_model_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    if kind == "text":
        path.write_text("no model")
    elif kind == "weights":
        pooled(dense()).save_weights(tmp_path / "model.weights.h5")
        path = tmp_path / "model.weights.h5"
    elif kind in {"zip", "deep"}:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "[" * 100_000 if kind == "deep" else "{}")
    with pytest.raises(ConfigError, match=str(path)) as caught:
        read_classifier(path, range(CLASSES), "0..255")
    assert "\n" not in str(caught.value)
