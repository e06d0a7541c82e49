from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from brainslice.config import LesionConfig
from brainslice.counterfactual import Counterfactual, OutlinedScans, make_counterfactuals
from brainslice.phantom import KINDS, draw_phantom
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import silent
from brainslice.scan.types import Slice

SIZE, HEALTHY = 64, KINDS.index("no_tumor")
SETTINGS = LesionConfig(patches=0.9, contrast=0.9)


@pytest.fixture(scope="module")
def scans() -> OutlinedScans:
    """Twelve drawn heads of each kind, of which every third does not train."""
    recipe, inputs, outlines, labels = Recipe(size=SIZE), [], [], []
    for label, kind in enumerate(KINDS):
        for patient in range(12):
            phantom = draw_phantom(kind, patient, 3, 5)
            picture = Slice(phantom.pixels.astype(np.float32), "0" * 64)
            inputs.append(recipe(picture))
            mask = recipe.frame(picture).warp(phantom.mask.astype(np.float32), nearest=True) > 0
            outlines.append(np.packbits(mask, axis=-1))
            labels.append(label)
    rows = np.arange(len(labels))
    return OutlinedScans(np.stack(inputs), np.stack(outlines), np.array(labels), HEALTHY, rows[rows % 3 > 0])


@pytest.fixture(scope="module")
def made(scans: OutlinedScans) -> list[Counterfactual]:
    return make_counterfactuals(scans, SETTINGS, 1, silent, workers=1)


def same(one: list[Counterfactual], other: list[Counterfactual]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(left.picture, right.picture)
        and np.array_equal(left.lesion, right.lesion)
        and (left.label, left.sources) == (right.label, right.sources)
        for left, right in zip(one, other, strict=True)
    )


def test_every_source_of_every_picture_trains(scans: OutlinedScans, made: list[Counterfactual]) -> None:
    sources = {row for each in made for row in each.sources}
    assert made
    assert sources <= set(scans.train.tolist())


def test_scans_that_do_not_train_have_no_influence(scans: OutlinedScans, made: list[Counterfactual]) -> None:
    others = np.setdiff1d(np.arange(len(scans.labels)), scans.train)
    inputs, outlines = scans.inputs.copy(), scans.outlines.copy()
    inputs[others], outlines[others] = 255, 255
    blind = OutlinedScans(inputs, outlines, scans.labels, HEALTHY, scans.train)
    assert same(make_counterfactuals(blind, SETTINGS, 1, silent, workers=1), made)


def test_pictures_depend_on_the_seed_and_not_on_the_number_of_processes(
    scans: OutlinedScans, made: list[Counterfactual]
) -> None:
    assert same(make_counterfactuals(scans, SETTINGS, 1, silent, workers=2), made)
    assert not same(make_counterfactuals(scans, SETTINGS, 2, silent, workers=1), made)


def test_a_picture_has_an_outline_exactly_where_its_class_is_a_tumour(made: list[Counterfactual]) -> None:
    assert {each.label for each in made} > {HEALTHY}
    assert all(each.lesion.any() == (each.label != HEALTHY) for each in made)


def test_each_kind_can_be_switched_off(scans: OutlinedScans) -> None:
    neither = LesionConfig(twins=False, patches=0)
    assert make_counterfactuals(scans, neither, 1, silent, workers=1) == []
    twins = make_counterfactuals(scans, LesionConfig(patches=0), 1, silent, workers=1)
    assert all(len(each.sources) == 1 for each in twins)
    assert [each.label == HEALTHY for each in twins] == [True, False] * (len(twins) // 2)


def test_a_lesion_of_changed_contrast_keeps_its_outline_and_class(scans: OutlinedScans) -> None:
    settings = LesionConfig(twins=False, patches=0, contrast=0.99)
    made = make_counterfactuals(scans, settings, 1, silent, workers=1)
    train = scans.train
    assert [each.sources[0] for each in made] == train[scans.outlined[train]].tolist()
    for each in made:
        (row,) = each.sources
        assert np.array_equal(each.lesion, scans.lesion(row))
        assert each.label == scans.labels[row]
        assert not np.array_equal(each.picture, scans.inputs[row])


def test_worker_processes_load_no_training_library() -> None:
    code = "import sys, brainslice.counterfactual.generation; print({'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
