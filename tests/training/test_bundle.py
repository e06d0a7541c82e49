from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import open_bundle
from brainslice.dataset.manifest import Manifest
from brainslice.decision.temperature import Temperature, fit_temperature
from brainslice.errors import ParityError
from brainslice.files import sha256_of
from brainslice.models.build import Network
from brainslice.models.export import export_onnx, predict_network
from brainslice.models.head import HEAD
from brainslice.models.weights import load_arrays
from brainslice.paths import ProjectPaths
from brainslice.preprocessing.recipe import Recipe
from brainslice.training import bundle as bundle_module
from brainslice.training.bundle import KERAS_FILE, BundleResult, make_bundle
from brainslice.training.task import TrainingTask
from small_training import arrays_of, changed
from stand_in import SIZE, config

MakeTask = Callable[..., TrainingTask]


def paths(root: Path) -> ProjectPaths:
    return ProjectPaths.of(root, config())


def export_another(network: Network, path: Path) -> None:
    """Write a graph whose logits are off by a thousandth."""
    head = network.model.get_layer(HEAD)
    kernel, bias = head.get_weights()
    head.set_weights([kernel, bias + 1e-3])
    export_onnx(network, path)
    head.set_weights([kernel, bias])


def always_in_the_set(finished: BundleResult) -> list[str]:
    """Name the classes that too few validation scans are of."""
    info = finished.bundle.info
    assert info.conformal is not None
    stored = zip(info.labels.names, info.conformal.quantiles, strict=True)
    return [name for name, quantile in stored if quantile is None]


def told_of(notes: Sequence[str]) -> list[str]:
    """Name the classes that notes call always in the set; a note of anything else stays whole."""
    return [note.split(" is in every prediction set: ")[0] for note in notes]


@pytest.fixture
def end(manifest: Manifest, tmp_path: Path) -> Callable[[TrainingTask], BundleResult]:
    return lambda task: make_bundle(task, manifest, Recipe(size=SIZE), paths(tmp_path))


def test_bundle_describes_the_training(
    make_task: MakeTask, end: Callable[[TrainingTask], BundleResult], tmp_path: Path
) -> None:
    task = make_task()
    end(task)
    info = open_bundle(tmp_path / "models" / "bundle").info
    origin = info.provenance
    assert (origin.split_digest, origin.phantom, origin.leaky) == (task.split.digest, True, False)
    assert (origin.train_images, origin.validation_images) == (len(task.split.train), len(task.split.validation))
    assert info.warnings == ("phantom",)
    assert info.class_map_bias == tuple(task.network.bias.tolist())
    assert info.parity.n == len(task.split.validation)
    assert info.parity.logits < 1e-4


def test_temperature_is_fitted_on_validation_scans(
    make_task: MakeTask, end: Callable[[TrainingTask], BundleResult]
) -> None:
    task = make_task()
    held_out = task.split.validation
    logits, _ = predict_network(task.network, task.inputs[held_out])
    labels = logits.argmax(axis=1)
    labels[: len(labels) // 3] = logits.argmin(axis=1)[: len(labels) // 3]
    known = task.labels.copy()
    known[held_out] = labels
    finished = end(replace(task, images=replace(task.images, labels=known)))
    expected = fit_temperature(logits, labels)
    assert finished.bundle.info.temperature == pytest.approx(expected.value, rel=1e-3)
    assert finished.bundle.info.validation.accuracy == pytest.approx(1 - len(labels) // 3 / len(labels))
    assert told_of(finished.notes) == always_in_the_set(finished)
    likelihoods = expected.probabilities(logits)[np.arange(len(labels)), labels]
    assert finished.bundle.info.validation.nll == pytest.approx(-np.log(likelihoods).mean(), rel=1e-3)


def test_note_where_no_temperature_fits(make_task: MakeTask, end: Callable[[TrainingTask], BundleResult]) -> None:
    task = make_task()
    held_out = task.split.validation
    known = task.labels.copy()
    known[held_out] = predict_network(task.network, task.inputs[held_out])[0].argmax(axis=1)
    finished = end(replace(task, images=replace(task.images, labels=known)))
    assert finished.bundle.info.temperature == 1.0
    note, *others = finished.notes
    assert "1 is used" in note
    assert "classified correctly" in note
    assert told_of(others) == always_in_the_set(finished)


def test_note_without_calibration(make_task: MakeTask, end: Callable[[TrainingTask], BundleResult]) -> None:
    finished = end(make_task("calibration.temperature=false"))
    assert finished.bundle.info.temperature == Temperature(1.0).value
    assert "calibration.temperature" in finished.notes[0]


def test_keras_file_is_the_network(
    make_task: MakeTask, end: Callable[[TrainingTask], BundleResult], tmp_path: Path
) -> None:
    task, other = make_task(), make_task("seed=5")
    finished = end(task)
    assert sha256_of(paths(tmp_path).best) == sha256_of(finished.bundle.path(KERAS_FILE))
    assert changed(arrays_of(task.network), arrays_of(other.network))
    load_arrays(other.network.model, paths(tmp_path).best)
    assert not changed(arrays_of(task.network), arrays_of(other.network))


def test_parity_error_writes_no_bundle(
    make_task: MakeTask, end: Callable[[TrainingTask], BundleResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "export_onnx", export_another)
    with pytest.raises(ParityError, match="must equal the network"):
        end(make_task())
    assert list((tmp_path / "models").iterdir()) == []


def test_parity_error_keeps_the_older_bundle_and_success_keeps_it_as_previous(
    make_task: MakeTask, end: Callable[[TrainingTask], BundleResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = end(make_task()).bundle.info
    monkeypatch.setattr(bundle_module, "export_onnx", export_another)
    with pytest.raises(ParityError):
        end(make_task("seed=5"))
    assert open_bundle(tmp_path / "models" / "bundle").info == older
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["best.keras", "bundle"]
    monkeypatch.undo()
    newer = end(make_task("seed=5")).bundle.info
    digests = [open_bundle(tmp_path / "models" / name).info.digest for name in ("bundle.previous", "bundle")]
    assert digests == [older.digest, newer.digest]
    # As after a kill between writing the bundle and deleting the checkpoints.
    again = end(make_task("seed=5")).bundle.info
    assert again.digest == newer.digest
    assert open_bundle(tmp_path / "models" / "bundle.previous").info == older
