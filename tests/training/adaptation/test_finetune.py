from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.config import AdaptConfig
from brainslice.errors import UsageError
from brainslice.models.adaptation_loss import adaptation_targets, tumour_or_healthy
from brainslice.models.losses import one_hot
from brainslice.training.adaptation.finetune import FineTuner, FineTuningData, FineTuningHistory

HEALTHY, CLASSES, N = 2, 4, 24
SETTINGS = AdaptConfig(steps=40, checks=2, batch_size=16, lr=0.05)


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    features = keras.Input((6,))
    return keras.Model(features, keras.layers.Dense(CLASSES)(keras.layers.Dropout(0.2, seed=1)(features)))


def material(distilled: bool = True) -> FineTuningData:  # noqa: FBT001, FBT002 - a case
    rng = np.random.default_rng(0)
    tumours = np.arange(N) % 2 == 0
    site = rng.normal(size=(N, 6)).astype(np.float32)
    site[:, 0] += 4 * tumours - 2
    labels = rng.integers(CLASSES, size=40)
    source = (rng.normal(size=(40, 6)) + 2 * np.eye(6)[labels + 1]).astype(np.float32)
    teacher = np.zeros((40, CLASSES), np.float32)
    kept = np.full((40, CLASSES), float(distilled), np.float32)
    told = adaptation_targets(
        tumour_or_healthy(tumours, HEALTHY, CLASSES),
        np.zeros((N, CLASSES), np.float32),
        np.zeros((N, CLASSES), np.float32),
    )
    return FineTuningData(
        site=(site, site + 0.1),
        site_targets=(told, told),
        tumours=tumours,
        replay=source,
        replay_targets=adaptation_targets(one_hot(labels, CLASSES), teacher, kept),
        check=source[:10],
    )


EVERYTHING = np.arange(N)


def test_it_learns_tumour_or_healthy_from_labels_that_do_not_name_the_type() -> None:
    pupil = FineTuner(model(), material(), SETTINGS, 1)
    said = pupil.evaluate(EVERYTHING, 0.05, EVERYTHING).site
    assert said.shape == (2, N, CLASSES)
    healthy = said[-1].argmax(axis=1) == HEALTHY
    assert (healthy != material().tumours).mean() > 0.9


def test_every_fine_tuning_starts_where_the_first_did_and_ends_there_too() -> None:
    pupil = FineTuner(model(), material(), SETTINGS, 1)
    first = pupil.evaluate(EVERYTHING, 0.05, EVERYTHING)
    pupil.evaluate(EVERYTHING[:6], 0.01, EVERYTHING)
    again = pupil.evaluate(EVERYTHING, 0.05, EVERYTHING)
    np.testing.assert_array_equal(first.site, again.site)
    np.testing.assert_array_equal(first.check, again.check)


def test_the_weights_at_a_look_are_those_that_were_watched() -> None:
    pupil = FineTuner(model(), material(), SETTINGS, 1)
    watched = pupil.evaluate(EVERYTHING, 0.05, EVERYTHING).site
    for look in pupil.fit(EVERYTHING, 0.05):
        if look == 0:
            break
    np.testing.assert_array_equal(pupil.logits(material().site[0]), watched[0])


def test_scans_that_do_not_train_change_nothing() -> None:
    one, two = material(), material()
    two.site[0][12:] = 99
    two.site[1][12:] = 99
    rows = np.arange(12)
    said = [FineTuner(model(), each, SETTINGS, 1).evaluate(rows, 0.05, rows).site for each in (one, two)]
    np.testing.assert_array_equal(*said)


def test_scans_of_one_kind_alone_can_train_too() -> None:
    pupil = FineTuner(model(), material(), SETTINGS, 1)
    assert pupil.evaluate(EVERYTHING[material().tumours], 0.05, EVERYTHING).site.shape[1] == N


def test_what_was_said_is_kept_and_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pupil, diary = FineTuner(model(), material(), SETTINGS, 1), FineTuningHistory(tmp_path, "this")
    first = diary.evaluate(pupil, EVERYTHING[:10], 0.05, EVERYTHING[10:])
    other = diary.evaluate(pupil, EVERYTHING[:10], 0.01, EVERYTHING[10:])
    monkeypatch.delattr(FineTuner, "evaluate")
    np.testing.assert_array_equal(diary.evaluate(pupil, EVERYTHING[:10], 0.05, EVERYTHING[10:]).site, first.site)
    assert not np.array_equal(other.site, first.site)
    with pytest.raises(AttributeError):
        FineTuningHistory(tmp_path, "that").evaluate(pupil, EVERYTHING[:10], 0.05, EVERYTHING[10:])


def test_a_damaged_page_of_the_diary_is_named(tmp_path: Path) -> None:
    pupil, diary = FineTuner(model(), material(), SETTINGS, 1), FineTuningHistory(tmp_path, "this")
    diary.evaluate(pupil, EVERYTHING[:10], 0.05, EVERYTHING[10:])
    (page,) = tmp_path.iterdir()
    page.write_bytes(page.read_bytes()[:100])
    with pytest.raises(UsageError, match="delete it to do it again"):
        diary.evaluate(pupil, EVERYTHING[:10], 0.05, EVERYTHING[10:])
