from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from brainslice import lazy
from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.decision import LinearHead
from brainslice.errors import ConfigError, DatasetError, LeakError, MissingExtraError, ParityError, UsageError
from brainslice.inference.predictor import Predictor
from brainslice.models.build import Network, NetworkConfig, build_network
from brainslice.models.export import export_onnx
from brainslice.models.head import HEAD
from brainslice.models.imported import load_keras_file
from brainslice.models.weights import load_arrays
from brainslice.paths import ProjectPaths
from brainslice.preprocessing.histogram import deciles, mean_landmarks
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.scan.read import read_scan
from brainslice.training import bundle as bundle_module
from brainslice.training import pipeline
from brainslice.training.bundle import KERAS_FILE, SECOND_KERAS_FILE
from brainslice.training.pipeline import TrainingResult, train
from small_training import SMALL, StoppedError, arrays_of, changed, interrupt_at, small_network
from stand_in import SIZE, config, copy_project

WORDS = (*SMALL, "train.batch_size=4")
PLAN = NetworkConfig(size=SIZE, weights=None)

pytestmark = pytest.mark.usefixtures("eager_functions")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the backbone by a few layers."""
    monkeypatch.setattr(pipeline, "build_network", small_network)


def train_in(root: Path, *words: str, progress: Progress = silent, accept_leaks: bool = False) -> TrainingResult:
    chosen = config(*WORDS, *words)
    return train(ProjectPaths.of(root, chosen), chosen, accept_leaks=accept_leaks, progress=progress)


def weights_of(root: Path, network: Network) -> dict[str, np.ndarray]:
    """Read the arrays of the Keras file that a training left."""
    load_arrays(network.model, root / "models" / "best.keras")
    return arrays_of(network)


def rename(root: Path, name: str) -> None:
    replace(Manifest.read(root / "data"), name=name).write(root / "data")


def rehash(root: Path) -> Manifest:
    """Let the manifest accept files that were changed."""
    manifest = Manifest.read(root / "data")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in manifest.paths]
    records = tuple(replace(record, sha256=found) for record, found in zip(manifest.records, digests, strict=True))
    changed_set = replace(manifest, records=records)
    changed_set.write(root / "data")
    return changed_set


@pytest.mark.usefixtures("small")
def test_training_writes_bundle_history_and_logs(project: Path) -> None:
    trained = train_in(project)
    assert Predictor.open(project / "models" / "bundle").bundle.info.digest == trained.bundle.info.digest
    for name in (
        "models/best.keras",
        "reports/training_history.json",
        "logs/training.csv",
        "logs/tensorboard",
    ):
        assert (project / name).exists(), name
    assert sorted(path.name for path in (project / "models").iterdir()) == ["best.keras", "bundle"]
    assert len(trained.epochs) == 4


@pytest.mark.usefixtures("small")
def test_the_exported_pyramid_head_subtracts_the_mirrored_evidence(project: Path) -> None:
    plain = train_in(project, "model.head=pyramid", "model.contralateral=0")
    subtracted = train_in(project, "model.head=pyramid", "model.contralateral=0.4")
    assert subtracted.epochs == plain.epochs
    head = LinearHead.read(project / "models" / "bundle" / "head.npz")
    assert (head.contralateral, head.healthy) == (0.4, subtracted.bundle.labels.healthy_index)
    assert (plain.bundle.info.contralateral, subtracted.bundle.info.contralateral) == (0, 0.4)
    card = (project / "models" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "Contralateral subtraction: 0.4" in card


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("head", "scale", "size"), [("pyramid", 1.3, 96), ("pyramid", 1, None), ("linear", 1.3, None)])
def test_the_exported_pyramid_head_sees_two_sizes(project: Path, head: str, scale: float, size: int | None) -> None:
    info = train_in(project, f"model.head={head}", f"model.second_scale={scale}").bundle.info
    assert info.second_size == size
    card = (project / "models" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert ("enlarged to 96 pixels" in card) == (size is not None)
    output = Predictor.open(project / "models" / "bundle").score(np.zeros((1, SIZE, SIZE), np.uint8))
    assert output.class_maps.shape[1:3] == info.class_map_shape


@pytest.mark.usefixtures("small")
def test_a_second_network_sees_the_enlarged_scan(project: Path) -> None:
    words = ("model.head=pyramid", "model.second_network=true", "train.quick.minutes=1e-9")
    with pytest.raises(StoppedError):
        train_in(project, *words, progress=interrupt_at("second network: training the tail", 1))
    assert not (project / "models" / "bundle").exists()
    steps: list[str] = []
    trained = train_in(project, *words, progress=lambda step, done, total: steps.append(f"{step} {done}/{total}"))
    # The first network is not trained again.
    assert sum(step.startswith("training the tail") for step in steps) == 1
    assert [note.startswith("second network: the last blocks trained 1 of 2") for note in trained.notes[:2]] == [0, 1]
    assert (project / "reports" / "second_network" / "training_history.json").is_file()
    info, bundle = trained.bundle.info, project / "models" / "bundle"
    assert (info.second_size, info.second_network != info.provenance.weights_digest) == (96, True)
    assert "enlarged to 96 pixels for a second network" in (bundle / "README.md").read_text(encoding="utf-8")
    scans = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8)
    inputs = [scans[..., np.newaxis].astype(np.float32)]
    inputs.append(np.asarray(keras.ops.image.resize(inputs[0], (96, 96))))
    networks = [load_keras_file(bundle / name) for name in (KERAS_FILE, SECOND_KERAS_FILE)]
    logits = [network.predict(each, verbose=0)["logits"] for network, each in zip(networks, inputs, strict=True)]
    healthy = trained.bundle.labels.healthy_index
    expected = np.mean([each - each[:, healthy, np.newaxis] for each in logits], axis=0)
    np.testing.assert_allclose(Predictor.open(bundle).score(scans).logits, expected, atol=1e-4)


@pytest.mark.parametrize(("word", "got"), [("head=linear", "linear, no_tumor and 1.3"), ("second_scale=1", "and 1")])
@pytest.mark.usefixtures("small")
def test_a_second_network_without_a_second_size_is_refused_before_training(project: Path, word: str, got: str) -> None:
    words = ("model.head=pyramid", "model.second_network=true", f"model.{word}")
    with pytest.raises(ConfigError, match=f"second_network needs .* got .*{got}"):
        train_in(project, *words)
    assert not (project / "models").exists()


@pytest.mark.usefixtures("small")
def test_logs_are_optional(project: Path) -> None:
    train_in(project, "log.csv=false", "log.tensorboard=false", "train.quick.epochs=0")
    assert not (project / "logs").exists()


@pytest.mark.parametrize("weights", ["[]", "[1, 2]", "[1, 2, 1, 1, 1]"])
@pytest.mark.usefixtures("small")
def test_recall_weights_are_one_for_each_class_of_the_prepared_set(project: Path, weights: str) -> None:
    # The classes of the configuration are those of another set.
    words = ("train.loss=recall_weighted", "data.class_names=[a, b]", "data.healthy_class=a")
    expected = r"recall_weights must be 4 numbers, one each for glioma, meningioma, no_tumor, pituitary, got \d"
    with pytest.raises(ConfigError, match=expected):
        train_in(project, *words, f"train.recall_weights={weights}")
    assert not (project / "models" / "bundle").exists()


@pytest.mark.usefixtures("small")
def test_test_scans_do_not_affect_training(project: Path, tmp_path: Path) -> None:
    other = copy_project(project, tmp_path / "other")
    manifest = Manifest.read(other / "data")
    test_labels = [record.label for record in manifest.records if record.fold == 0]
    turned = iter(test_labels[::-1])
    records = tuple(replace(record, label=next(turned)) if record.fold == 0 else record for record in manifest.records)
    replace(manifest, records=records).write(other / "data")
    one, two = train_in(project), train_in(other)
    assert one.bundle.info.provenance.manifest_digest != two.bundle.info.provenance.manifest_digest
    assert [epoch.validation_loss for epoch in one.epochs] == [epoch.validation_loss for epoch in two.epochs]


@pytest.mark.usefixtures("small")
def test_landmarks_are_learnt_from_training_scans_and_repeated_at_inference(project: Path) -> None:
    words = ("preprocessing.contrast=nyul", "train.quick.epochs=0")
    trained = train_in(project, *words)
    manifest, plain = Manifest.read(project / "data"), Recipe(size=SIZE)
    levels = [deciles(plain.stretched(read_scan(path))) for path in manifest.paths]
    learnt = mean_landmarks(np.stack(levels)[make_split(manifest, Protocol.CLEAN).train])
    assert trained.bundle.info.recipe == Recipe(size=SIZE, contrast="nyul", landmarks=learnt).to_json()
    assert Predictor.open(trained.bundle.folder).recipe.landmarks == learnt
    # Scans of other grey values in the test fold must not change what the training scans teach.
    for record in manifest.records:
        if record.fold == 0:
            Image.new("L", (60, 60), 9).save(project / "data" / record.path)
    shutil.rmtree(project / "data" / "cache")
    again = rehash(project)
    assert again.digest != manifest.digest
    assert train_in(project, *words).bundle.info.recipe == trained.bundle.info.recipe


@pytest.mark.usefixtures("small")
def test_a_step_without_its_library_is_refused_before_any_work(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(project.rglob("*"))
    monkeypatch.setattr(lazy, "is_installed", lambda name: name != "SimpleITK")
    with pytest.raises(MissingExtraError, match=r"pip install 'brainslice\[n4\]'"):
        train_in(project, "preprocessing.bias_field=n4")
    assert sorted(project.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.traced
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("recipe", "step"),
    [
        ("quick", "training the tail"),
        pytest.param("full", "training the all", marks=pytest.mark.slow_only),
    ],
)
def test_interrupted_run_gives_the_same_weights(project: Path, tmp_path: Path, recipe: str, step: str) -> None:
    other, word = copy_project(project, tmp_path / "other"), f"train.recipe={recipe}"
    whole = train_in(other, word)
    with pytest.raises(StoppedError):
        train_in(project, word, progress=interrupt_at(step, 2))
    assert not (project / "models" / "bundle").exists()
    assert (project / "models" / "unfinished").is_dir()
    resumed = train_in(project, word)
    assert resumed.epochs == whole.epochs
    assert (resumed.bundle.info.files, resumed.bundle.info.digest) == (
        whole.bundle.info.files,
        whole.bundle.info.digest,
    )
    one, two = (weights_of(root, small_network(PLAN)) for root in (project, other))
    assert not changed(one, two)


@pytest.mark.slow_only
def test_interrupted_run_of_the_real_backbone_gives_the_same_weights(project: Path, tmp_path: Path) -> None:
    other, words = copy_project(project, tmp_path / "other"), ("train.quick.views=0", "train.quick.epochs=3")
    whole = train_in(other, *words)
    with pytest.raises(StoppedError):
        train_in(project, *words, progress=interrupt_at("training the tail", 4))
    assert train_in(project, *words).epochs == whole.epochs
    network = build_network(PLAN)
    assert not changed(weights_of(project, network), weights_of(other, network))


@pytest.mark.usefixtures("small")
def test_parity_error_writes_no_bundle(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_another(network: Network, path: Path) -> None:
        head = network.model.get_layer(HEAD)
        kernel, bias = head.get_weights()
        head.set_weights([kernel, bias + np.float32(1e-2)])
        export_onnx(network, path)
        head.set_weights([kernel, bias])

    monkeypatch.setattr(bundle_module, "export_onnx", export_another)
    with pytest.raises(ParityError):
        train_in(project, "train.quick.epochs=0")
    assert not (project / "models" / "bundle").exists()
    assert not (project / "models" / "best.keras").exists()


@pytest.mark.usefixtures("small")
def test_note_on_early_stopping(project: Path) -> None:
    notes = train_in(project, "train.quick.minutes=0.0000001").notes
    assert any("trained 1 of 2 epochs" in note for note in notes)


@pytest.mark.usefixtures("small")
def test_shipped_weights_raise_on_their_training_set(project: Path) -> None:
    rename(project, "nickparvar")
    with pytest.raises(LeakError, match="shipped"):
        train_in(project, "model.weights=shipped")
    assert not (project / "models").exists()


@pytest.mark.usefixtures("small")
def test_shipped_weights_work_on_other_sets(project: Path) -> None:
    assert train_in(project, "model.weights=shipped", "train.quick.epochs=0").bundle.info.warnings == ("phantom",)


@pytest.mark.usefixtures("small")
def test_leaky_split_raises_or_is_marked(project: Path) -> None:
    words = ("data.protocol=official", "train.quick.epochs=0")
    with pytest.raises(LeakError, match="--accept-leaks"):
        train_in(project, *words)
    assert not (project / "models").exists()
    assert train_in(project, *words, accept_leaks=True).bundle.info.warnings == ("phantom", "leaky")


def test_missing_set_names_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run brainslice prepare"):
        train_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("model.weights=absent.h5", ConfigError, "absent.h5"),
        ("model.backbone=efficientnet-b9", ConfigError, "efficientnet"),
        ("data.test_fold=3", UsageError, "data.test_fold must be from 0 to 2"),
    ],
)
def test_invalid_setting_raises_before_writing(project: Path, word: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        train_in(project, word)
    assert not (project / "models").exists()


def test_every_name_of_weights_is_valid(monkeypatch: pytest.MonkeyPatch, prepared: Path) -> None:
    calls = []
    monkeypatch.setattr(pipeline, "build_network", lambda plan: calls.append(plan.weights) or small_network(plan))
    manifest = Manifest.read(prepared / "data")
    fresh: Callable[[Config, Manifest], Network] = pipeline._build_network
    for word in ("imagenet", "none", "shipped", "folder/own.h5"):
        fresh(config(f"model.weights={word}"), manifest)
    assert calls == ["imagenet", None, pipeline.SHIPPED_WEIGHTS, Path("folder/own.h5")]


def test_mixed_precision_is_for_the_full_recipe_only(monkeypatch: pytest.MonkeyPatch, prepared: Path) -> None:
    calls = []
    monkeypatch.setattr(pipeline, "build_network", lambda plan: calls.append(plan.precision) or small_network(plan))
    for recipe in ("quick", "full"):
        settings = config("train.mixed_precision=true", f"train.recipe={recipe}")
        pipeline._build_network(settings, Manifest.read(prepared / "data"))
    assert calls == ["float32", "mixed_float16"]
