from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brainslice.models.build import Network
from brainslice.models.head import HEAD
from brainslice.training.recipes.quick import fit_quick
from brainslice.training.task import TrainingTask
from small_training import StoppedError, WeightRecorder, arrays_of, changed, interrupt_at, keras_frozen_part

MakeTask = Callable[..., TrainingTask]

pytestmark = pytest.mark.usefixtures("eager_functions")


def never(_: np.ndarray) -> np.ndarray:
    raise AssertionError


def recordered(make_task: MakeTask, step: str, *, pretrained: bool = True) -> tuple[Network, set[str]]:
    """Train, and tell which arrays had moved at a step's end, whether or not it was better for it."""
    recorder = WeightRecorder(step)
    task = make_task(pretrained=pretrained, progress=recorder)
    recorder.network = task.network
    before = arrays_of(task.network)
    epochs = fit_quick(task, keras_frozen_part(task.network))
    assert [epoch.stage for epoch in epochs] == ["head", "head", "tail", "tail"]
    return task.network, changed(before, recorder.arrays)


def paths(network: Network, *layers: str) -> set[str]:
    return {weight.path for name in layers for weight in network.model.get_layer(name).weights}


@pytest.mark.parametrize("pretrained", [True, False])
def test_frozen_part_and_batchnorm_are_unchanged(
    make_task: MakeTask,
    pretrained: bool,  # noqa: FBT001 - a case
) -> None:
    network, moved = recordered(make_task, "training the tail", pretrained=pretrained)
    assert moved == paths(network, "last", HEAD)


@pytest.mark.traced
def test_tail_on_cached_activations_equals_the_network(make_task: MakeTask) -> None:
    task = make_task()
    fit_quick(task, keras_frozen_part(task.network))
    images = task.inputs[task.split.validation, ..., np.newaxis].astype(np.float32)
    cached = keras_frozen_part(task.network)(images).astype(np.float16).astype(np.float32)
    whole, tail = task.network.model.predict_on_batch(images), task.network.trainable_part.predict_on_batch(cached)
    assert np.ptp(whole["logits"]) > 0
    for name, expected in whole.items():
        np.testing.assert_allclose(tail[name], expected, atol=2e-3 * np.abs(expected).max())


def test_head_stage_changes_the_head_only(make_task: MakeTask) -> None:
    network, moved = recordered(make_task, "training the head")
    assert moved == paths(network, HEAD)


@pytest.mark.slow
def test_interrupted_training_gives_the_same_weights(make_task: MakeTask) -> None:
    words = ("train.batch_size=4", "train.ema=true")
    straight = make_task(*words, name="straight")
    whole = fit_quick(straight, keras_frozen_part(straight.network))
    shutil.rmtree(straight.cache)
    for step, done in (("computing activations", 1), ("training the head", 5), ("training the tail", 5)):
        broken = make_task(*words, name="broken", progress=interrupt_at(step, done))
        with pytest.raises(StoppedError):
            fit_quick(broken, keras_frozen_part(broken.network))
    resumed = make_task(*words, name="broken")
    assert fit_quick(resumed, keras_frozen_part(resumed.network)) == whole
    assert not changed(arrays_of(straight.network), arrays_of(resumed.network))


def cache_all(make_task: MakeTask, *words: str, trunk: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
    """Compute the activations a training needs, and go no further."""
    task = make_task(*words, progress=interrupt_at("pooling features", 1))
    with pytest.raises(StoppedError):
        fit_quick(task, trunk or keras_frozen_part(task.network))


def test_second_training_reuses_activations(make_task: MakeTask) -> None:
    cache_all(make_task)
    cache_all(make_task, "train.quick.lr=0.01", "data.test_fold=0", trunk=never)


def test_number_of_views(make_task: MakeTask, tmp_path: Path) -> None:
    for word, expected in (("augment.enabled=false", 1), ("train.quick.views=2", 3)):
        cache_all(make_task, word)
        assert len(list((tmp_path / "cache").glob("*.npy"))) == expected


def test_other_seed_draws_other_views(make_task: MakeTask, tmp_path: Path) -> None:
    same = keras_frozen_part(make_task().network)
    for seed in (1, 2):
        cache_all(make_task, f"seed={seed}", trunk=same)
    files = list((tmp_path / "cache").glob("*.npy"))
    assert len(files) == 4
    assert len({np.load(path).tobytes() for path in files}) == 3
