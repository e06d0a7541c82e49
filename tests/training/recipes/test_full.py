from __future__ import annotations

from collections.abc import Callable

import pytest

from brainslice.models.build import Network
from brainslice.models.head import HEAD
from brainslice.training.recipes.full import fit_full
from brainslice.training.task import TrainingTask
from small_training import StoppedError, WeightRecorder, arrays_of, changed, interrupt_at

MakeTask = Callable[..., TrainingTask]

pytestmark = pytest.mark.usefixtures("eager_functions")


def paths(network: Network, *layers: str) -> set[str]:
    return {weight.path for name in layers for weight in network.model.get_layer(name).weights}


def recordered(make_task: MakeTask, *words: str, pretrained: bool) -> tuple[Network, set[str]]:
    """Train, and tell which arrays the second stage had moved, whether or not it was better for it."""
    recorder = WeightRecorder("training the all")
    task = make_task(*words, pretrained=pretrained, progress=recorder)
    recorder.network = task.network
    before = arrays_of(task.network)
    assert [epoch.stage for epoch in fit_full(task)] == ["head", "all", "all"]
    return task.network, changed(before, recorder.arrays)


@pytest.mark.traced
def test_trains_the_head_then_everything_except_pretrained_batchnorm(make_task: MakeTask) -> None:
    network, moved = recordered(make_task, pretrained=True)
    assert moved == set(arrays_of(network)) - paths(network, "below", "above")


def test_random_weights_train_batchnorm_too(make_task: MakeTask) -> None:
    network, moved = recordered(make_task, pretrained=False)
    assert moved == set(arrays_of(network))


def test_head_stage_changes_the_head_only(make_task: MakeTask) -> None:
    task = make_task("train.freeze_backbone_epochs=3")
    before = arrays_of(task.network)
    assert {epoch.stage for epoch in fit_full(task)} == {"head"}
    assert changed(before, arrays_of(task.network)) == paths(task.network, HEAD)


def test_number_of_epochs(make_task: MakeTask) -> None:
    assert len(fit_full(make_task("train.epochs=2", "train.freeze_backbone_epochs=5"))) == 2


def test_no_head_stage_without_frozen_epochs(make_task: MakeTask) -> None:
    epochs = fit_full(make_task("train.epochs=1", "train.freeze_backbone_epochs=0"))
    assert [epoch.stage for epoch in epochs] == ["all"]


@pytest.mark.slow
def test_interrupted_training_gives_the_same_weights(make_task: MakeTask) -> None:
    words = ("train.batch_size=4", "train.freeze_backbone_epochs=2", "train.epochs=4")
    straight = make_task(*words, name="straight", pretrained=False)
    whole = fit_full(straight)
    for step, done in (("training the head", 5), ("training the all", 5)):
        broken = make_task(*words, name="broken", pretrained=False, progress=interrupt_at(step, done))
        with pytest.raises(StoppedError):
            fit_full(broken)
    resumed = make_task(*words, name="broken", pretrained=False)
    assert fit_full(resumed) == whole
    assert not changed(arrays_of(straight.network), arrays_of(resumed.network))
