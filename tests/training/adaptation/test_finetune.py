from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score

from brainslice.config import AdaptConfig
from brainslice.dataset.splits.split import assign_folds
from brainslice.errors import UsageError
from brainslice.models.adaptation_loss import adaptation_targets, tumour_or_healthy
from brainslice.models.losses import one_hot
from brainslice.paths import ProjectPaths
from brainslice.progress import silent
from brainslice.training.adaptation.data import AdaptationData, load_adaptation_data
from brainslice.training.adaptation.finetune import (
    FineTuner,
    FineTuningData,
    FineTuningHistory,
    make_fine_tuning,
    source_macro_f1,
    trainable_part_of,
)
from brainslice.training.adaptation.nested_cv import SelectionCriteria, SiteLabels
from small_training import SMALL, arrays_of, changed
from stand_in import config

HEALTHY, CLASSES, N = 2, 4, 24
SETTINGS = AdaptConfig(steps=40, checks=2, batch_size=16, lr=0.05)

pytestmark = pytest.mark.usefixtures("eager_functions")


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    features = keras.Input((6,))
    return keras.Model(features, keras.layers.Dense(CLASSES)(keras.layers.Dropout(0.2, seed=1)(features)))


def tuning_data(distilled: bool = True) -> FineTuningData:  # noqa: FBT001, FBT002 - a case
    rng = np.random.default_rng(0)
    tumours = np.arange(N) % 2 == 0
    site = rng.normal(size=(N, 6)).astype(np.float32)
    site[:, 0] += 4 * tumours - 2
    labels = rng.integers(CLASSES, size=40)
    source = (rng.normal(size=(40, 6)) + 2 * np.eye(6)[labels + 1]).astype(np.float32)
    teacher = np.zeros((40, CLASSES), np.float32)
    kept = np.full((40, CLASSES), float(distilled), np.float32)
    targets = adaptation_targets(
        tumour_or_healthy(tumours, HEALTHY, CLASSES),
        np.zeros((N, CLASSES), np.float32),
        np.zeros((N, CLASSES), np.float32),
    )
    return FineTuningData(
        site=(site, site + 0.1),
        site_targets=(targets, targets),
        tumours=tumours,
        replay=source,
        replay_targets=adaptation_targets(one_hot(labels, CLASSES), teacher, kept),
        check=source[:10],
    )


EVERYTHING = np.arange(N)


def test_fits_tumour_labels_without_type() -> None:
    tuner = FineTuner(model(), tuning_data(), SETTINGS, 1)
    logits = tuner.evaluate(EVERYTHING, 0.05, EVERYTHING).site
    assert logits.shape == (2, N, CLASSES)
    healthy = logits[-1].argmax(axis=1) == HEALTHY
    assert (healthy != tuning_data().tumours).mean() > 0.9


def test_fine_tuning_is_repeatable() -> None:
    tuner = FineTuner(model(), tuning_data(), SETTINGS, 1)
    first = tuner.evaluate(EVERYTHING, 0.05, EVERYTHING)
    tuner.evaluate(EVERYTHING[:6], 0.01, EVERYTHING)
    again = tuner.evaluate(EVERYTHING, 0.05, EVERYTHING)
    np.testing.assert_array_equal(first.site, again.site)
    np.testing.assert_array_equal(first.check, again.check)


def test_weights_at_a_checkpoint_give_its_scores() -> None:
    tuner = FineTuner(model(), tuning_data(), SETTINGS, 1)
    watched = tuner.evaluate(EVERYTHING, 0.05, EVERYTHING).site
    for checkpoint in tuner.fit(EVERYTHING, 0.05):
        if checkpoint == 0:
            break
    np.testing.assert_array_equal(tuner.logits(tuning_data().site[0]), watched[0])


def test_other_rows_do_not_affect_training() -> None:
    one, two = tuning_data(), tuning_data()
    two.site[0][12:] = 99
    two.site[1][12:] = 99
    rows = np.arange(12)
    logits = [FineTuner(model(), each, SETTINGS, 1).evaluate(rows, 0.05, rows).site for each in (one, two)]
    np.testing.assert_array_equal(*logits)


def test_trains_on_tumours_only() -> None:
    tuner = FineTuner(model(), tuning_data(), SETTINGS, 1)
    assert tuner.evaluate(EVERYTHING[tuning_data().tumours], 0.05, EVERYTHING).site.shape[1] == N


def test_history_reuses_stored_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner, history = FineTuner(model(), tuning_data(), SETTINGS, 1), FineTuningHistory(tmp_path, "this")
    first = history.evaluate(tuner, EVERYTHING[:10], 0.05, EVERYTHING[10:])
    other = history.evaluate(tuner, EVERYTHING[:10], 0.01, EVERYTHING[10:])
    monkeypatch.delattr(FineTuner, "evaluate")
    np.testing.assert_array_equal(history.evaluate(tuner, EVERYTHING[:10], 0.05, EVERYTHING[10:]).site, first.site)
    assert not np.array_equal(other.site, first.site)
    with pytest.raises(AttributeError):
        FineTuningHistory(tmp_path, "that").evaluate(tuner, EVERYTHING[:10], 0.05, EVERYTHING[10:])


def test_damaged_history_raises(tmp_path: Path) -> None:
    tuner, history = FineTuner(model(), tuning_data(), SETTINGS, 1), FineTuningHistory(tmp_path, "this")
    history.evaluate(tuner, EVERYTHING[:10], 0.05, EVERYTHING[10:])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="delete it to do it again"):
        history.evaluate(tuner, EVERYTHING[:10], 0.05, EVERYTHING[10:])


def test_source_macro_f1_matches_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 4)), rng.integers(4, size=60)
    expected = f1_score(labels, logits.argmax(axis=1), average="macro")
    assert source_macro_f1(logits, labels) == pytest.approx(expected)


ADAPTING = (
    "adapt.folds=3",
    "adapt.steps=4",
    "adapt.checks=2",
    "adapt.views=1",
    "adapt.replay=12",
    "adapt.batch_size=8",
)
ADAPT_CONFIG = config(*SMALL, *ADAPTING)


@pytest.fixture
def data(adaptable: Path) -> AdaptationData:
    paths = ProjectPaths.of(adaptable, ADAPT_CONFIG)
    return load_adaptation_data(paths, ADAPT_CONFIG, paths.bundle, adaptable / "elsewhere", silent)


def folds_of(data: AdaptationData) -> tuple[np.ndarray, SiteLabels]:
    labels = SiteLabels(data.site.tumours, data.site.groups, HEALTHY)
    return assign_folds(labels.tumours.astype(np.int64), labels.groups, 3, 1), labels


@pytest.mark.parametrize(("name", "moved"), [("head", {"class_maps"}), ("tail", {"class_maps", "last"})])
def test_only_the_named_part_trains(data: AdaptationData, tmp_path: Path, name: str, moved: set[str]) -> None:
    before = arrays_of(data.network)
    tuning = make_fine_tuning(
        name, data, FineTuningHistory(tmp_path / "history", "this"), ADAPT_CONFIG.adapt, 1, silent
    )
    found = tuning.at_rate(np.arange(12), np.arange(12, 18), 0.01)
    assert len(found) == 2
    layers = {path.split("/")[0] for path in changed(before, arrays_of(data.network)) if "seed" not in path}
    assert layers == moved
    tuning.fine_tuner.reset()
    assert not changed(before, arrays_of(data.network))


def test_out_of_fold_predictions_of_the_tail(data: AdaptationData, tmp_path: Path) -> None:
    folds, labels = folds_of(data)
    tuning = make_fine_tuning(
        "tail", data, FineTuningHistory(tmp_path / "history", "this"), ADAPT_CONFIG.adapt, 1, silent
    )
    found = tuning.out_of_fold(folds, labels, SelectionCriteria(0.9, 0.0))
    assert found.logits.shape == (18, 4)
    assert {setting.rate for setting in found.settings} <= {ADAPT_CONFIG.adapt.lr, ADAPT_CONFIG.adapt.lr / 4}
    assert trainable_part_of(data).output.shape[-1] == 4
