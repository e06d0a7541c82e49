from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from brainslice.dataset.splits.split import assign_folds
from brainslice.decision.temperature import Temperature
from brainslice.paths import ProjectPaths
from brainslice.progress import silent
from brainslice.training.adaptation.baselines import (
    SourceModel,
    batchnorm_predictions,
    make_fine_tuning,
    source_macro_f1,
    source_model_predictions,
    trainable_part_of,
)
from brainslice.training.adaptation.data import AdaptationData, load_adaptation_data
from brainslice.training.adaptation.finetune import FineTuningHistory
from brainslice.training.adaptation.nested_cv import SelectionCriteria, SiteLabels
from small_training import SMALL, arrays_of, changed
from stand_in import config

ADAPTING = (
    "adapt.folds=3",
    "adapt.steps=4",
    "adapt.checks=2",
    "adapt.views=1",
    "adapt.replay=12",
    "adapt.batch_size=8",
)
SETTINGS = config(*SMALL, *ADAPTING)
HEALTHY = 2


@pytest.fixture
def ground(adaptable: Path) -> AdaptationData:
    places = ProjectPaths.of(adaptable, SETTINGS)
    return load_adaptation_data(places, SETTINGS, places.bundle, adaptable / "elsewhere", silent)


def dealt(ground: AdaptationData) -> tuple[np.ndarray, SiteLabels]:
    truth = SiteLabels(ground.site.tumours, ground.site.groups, HEALTHY)
    return assign_folds(truth.tumours.astype(np.int64), truth.groups, 3, 1), truth


def base_of(logits: np.ndarray, labels: np.ndarray, site: np.ndarray) -> SourceModel:
    return SourceModel(site, logits, labels, Temperature(1.0), 0.5, HEALTHY, 0.75)


def test_the_source_s_score_is_macro_f1() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 4)), rng.integers(4, size=60)
    expected = f1_score(labels, logits.argmax(axis=1), average="macro")
    assert source_macro_f1(logits, labels) == pytest.approx(expected)


def test_the_source_threshold_lets_one_healthy_scan_in_ten_pass_for_a_tumour() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(4, size=400)
    logits = rng.normal(size=(400, 4)) + 2 * np.eye(4)[labels]
    base = base_of(logits, labels, logits[:2])
    chances = 1 - np.exp(logits)[:, HEALTHY] / np.exp(logits).sum(axis=1)
    assert 0.9 <= (chances[labels == HEALTHY] < base.source_threshold(0.9)).mean() < 0.93


def test_a_threshold_from_other_folds_never_saw_its_own() -> None:
    rng = np.random.default_rng(2)
    labels, site = rng.integers(4, size=80), rng.normal(size=(40, 4))
    tumours = np.arange(40) % 8 < 4
    folds, mine = np.arange(40) % 4, np.arange(40) % 4 == 1
    base = base_of(rng.normal(size=(80, 4)), labels, site)
    one = source_model_predictions(base, folds, SiteLabels(tumours, np.arange(40), HEALTHY), 0.8)
    two = source_model_predictions(base, folds, SiteLabels(tumours ^ mine, np.arange(40), HEALTHY), 0.8)
    assert [each.name for each in one] == ["base", "base, source threshold", "threshold only", "temperature only"]
    for before, after in zip(one, two, strict=True):
        np.testing.assert_array_equal(before.predictions[mine], after.predictions[mine])
    assert not np.array_equal(one[2].predictions, two[2].predictions)


def test_moving_statistics_leaves_the_network_as_it_was(ground: AdaptationData) -> None:
    folds, truth = dealt(ground)
    before = arrays_of(ground.network)
    found = batchnorm_predictions(ground, folds, truth, 0.9, silent)
    assert not changed(before, arrays_of(ground.network))
    assert found.probabilities.shape == (18,)


@pytest.mark.parametrize(("name", "moved"), [("head", {"class_maps"}), ("tail", {"class_maps", "last"})])
def test_only_the_part_that_is_named_learns(ground: AdaptationData, tmp_path: Path, name: str, moved: set[str]) -> None:
    before = arrays_of(ground.network)
    tuning = make_fine_tuning(name, ground, FineTuningHistory(tmp_path / "diary", "this"), SETTINGS.adapt, 1, silent)
    found = tuning.at_rate(np.arange(12), np.arange(12, 18), 0.01)
    assert len(found) == 2
    layers = {path.split("/")[0] for path in changed(before, arrays_of(ground.network)) if "seed" not in path}
    assert layers == moved
    tuning.fine_tuner.reset()
    assert not changed(before, arrays_of(ground.network))


def test_a_tail_judged_by_folds_answers_for_every_scan(ground: AdaptationData, tmp_path: Path) -> None:
    folds, truth = dealt(ground)
    tuning = make_fine_tuning("tail", ground, FineTuningHistory(tmp_path / "diary", "this"), SETTINGS.adapt, 1, silent)
    found = tuning.out_of_fold(folds, truth, SelectionCriteria(0.9, 0.0))
    assert found.logits.shape == (18, 4)
    assert {setting.rate for setting in found.settings} <= set(tuning.rates)
    assert trainable_part_of(ground).output.shape[-1] == 4
