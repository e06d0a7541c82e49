from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.models.head import HEAD
from brainslice.training.task import TrainingTask

MakeTask = Callable[..., TrainingTask]


def test_fingerprint_does_not_depend_on_paths(make_task: MakeTask) -> None:
    one, other = make_task(), replace(make_task(name="two"), cache=Path("elsewhere"))
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize(
    "word", ["seed=7", "train.lr=0.5", "train.quick.minutes=1", "augment.zoom=0.3", "model.dropout=0.1"]
)
def test_a_setting_that_changes_the_result_changes_the_fingerprint(make_task: MakeTask, word: str) -> None:
    assert make_task(word).fingerprint() != make_task().fingerprint()


def test_scans_labels_split_and_first_weights_change_the_fingerprint(make_task: MakeTask) -> None:
    task, other = make_task(), make_task()
    other.network.model.get_layer(HEAD).set_weights([np.ones((8, 4)), np.ones(4)])
    others = [
        replace(task, content="other scans"),
        replace(task, images=replace(task.images, labels=task.labels[::-1].copy())),
        replace(task, split=replace(task.split, train=task.split.test, test=task.split.train)),
        other,
    ]
    assert len({changed.fingerprint() for changed in (task, *others)}) == 5


def test_no_mixup_without_augmentation(make_task: MakeTask) -> None:
    task = make_task("augment.enabled=false")
    settings = task.augmentation_config
    assert task.shuffle.mixing is None
    assert not any(
        (settings.flip, settings.rotation, settings.zoom, settings.translation, settings.brightness, settings.contrast)
    )


def test_rotation_is_in_turns(make_task: MakeTask) -> None:
    assert make_task("augment.rotation_degrees=36").augmentation_config.rotation == pytest.approx(0.1)


def test_mixup_settings(make_task: MakeTask) -> None:
    assert make_task("augment.mixup=true", "augment.mixup_alpha=0.4").shuffle.mixing == (0.4, 0.2)
    assert make_task("augment.mixup=false").shuffle.mixing is None


def test_training_data_are_of_the_training_scans(make_task: MakeTask) -> None:
    task = make_task()
    data = task.training_data()
    np.testing.assert_array_equal(data.rows, task.split.train)
    np.testing.assert_array_equal(data.targets.argmax(axis=1), task.labels[task.split.train])
    assert np.ptp(data.weights) > 0
    assert np.ptp(make_task("train.class_weights=false").training_data().weights) == 0


def test_ema_and_early_stopping_are_optional(make_task: MakeTask) -> None:
    on = make_task("train.ema=true", "train.early_stopping_patience=3").stage("head", 5, 0.1, 2.0)
    assert (on.name, on.epochs, on.lr, on.ema_momentum, on.patience, on.minutes) == ("head", 5, 0.1, 0.99, 3, 2.0)
    off = make_task("train.early_stopping=false").stage("all", 1, 0.1)
    assert (off.ema_momentum, off.patience, off.minutes) == (None, None, None)
