from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from brainslice.training.lesions import TrainingImages
from brainslice.training.recipes.quick import fit_quick
from brainslice.training.task import TrainingTask
from small_training import StoppedError, arrays_of, interrupt_at, keras_frozen_part

MakeTask = Callable[..., TrainingTask]

pytestmark = pytest.mark.usefixtures("eager_functions")


def outlined(task: TrainingTask) -> TrainingTask:
    """Add a square lesion to every scan that is not healthy, and one picture of a healthy head."""
    inputs, labels, healthy = task.inputs, task.labels, task.network.config.healthy
    lesions = np.zeros((len(inputs) + 1, *inputs.shape[1:]), np.bool_)
    lesions[:-1, 16:32, 16:32] = (labels != healthy)[:, None, None]
    images = TrainingImages(
        inputs=inputs,
        extra=np.array(inputs[:1]),
        outlines=np.packbits(lesions, axis=-1),
        labels=np.append(labels, healthy),
        known=np.ones(len(lesions), np.bool_),
        rows=np.append(task.split.train, len(inputs)),
        digest="squares",
    )
    return replace(task, images=images)


def test_pyramid_head_learns_positions_of_lesions(make_task: MakeTask) -> None:
    task = outlined(make_task("model.head=pyramid", "train.quick.epochs=4", "train.quick.lr=0.01"))
    epochs = fit_quick(task, keras_frozen_part(task.network))
    assert [epoch.stage for epoch in epochs] == ["tail"] * 4
    losses = [epoch.loss for epoch in epochs]
    assert losses[-1] < losses[0]
    outputs = task.network.model.predict_on_batch(task.inputs[..., np.newaxis].astype(np.float32))
    assert outputs["class_maps"].shape[1:3] == task.network.map_shape
    assert not outputs["class_maps"][..., task.network.config.healthy].any()


@pytest.mark.slow
def test_interrupted_training_with_outlines_gives_the_same_weights(make_task: MakeTask) -> None:
    whole = outlined(make_task("model.head=pyramid", name="whole"))
    fit_quick(whole, keras_frozen_part(whole.network))
    broken = outlined(make_task("model.head=pyramid", name="broken"))
    with pytest.raises(StoppedError):
        fit_quick(replace(broken, progress=interrupt_at("training the tail", 2)), keras_frozen_part(broken.network))
    again = outlined(make_task("model.head=pyramid", name="broken"))
    fit_quick(again, keras_frozen_part(again.network))
    for path, value in arrays_of(whole.network).items():
        np.testing.assert_array_equal(arrays_of(again.network)[path], value)
