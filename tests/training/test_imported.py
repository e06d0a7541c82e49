"""A classifier of another project becomes a bundle that every command takes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice import api
from brainslice.bundle.model_card import CARD_FILE
from brainslice.bundle.store import open_bundle
from brainslice.dataset.manifest import Manifest
from brainslice.errors import ConfigError
from brainslice.inference.predictor import Predictor
from own_classifier import CONFIG, NAMES, classifier
from stand_in import copy_project


@pytest.fixture(scope="module", params=[True, False], ids=["pooled", "flat"])
def imported(request: pytest.FixtureRequest, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose bundle is an imported network, with class maps and without."""
    root = copy_project(prepared, tmp_path_factory.mktemp("imported") / "project")
    classifier(root / "own.keras", pooled=request.param)
    api.import_keras(root / "own.keras", NAMES, root, pixels="0..1", config=CONFIG)
    return root


def scan_of(project: Path) -> Path:
    return Manifest.read(project / "data").paths[0]


def test_probabilities_are_those_of_the_file(imported: Path) -> None:
    predictor = Predictor.open(imported / "models" / "bundle")
    answer = predictor.predict(scan_of(imported))
    batch = np.repeat(answer.network_input[np.newaxis, ..., np.newaxis] / 255, 3, axis=-1)
    own = keras.models.load_model(imported / "own.keras").predict(batch, verbose=0)[0]
    softened = own ** (1 / predictor.temperature.value)
    expected = dict(zip(("pituitary", "no_tumor", "glioma", "meningioma"), softened / softened.sum(), strict=True))
    assert answer.probabilities == pytest.approx(expected, abs=1e-4)


def test_whole_pictures_are_used_unless_asked(imported: Path, tmp_path: Path) -> None:
    recipe = open_bundle(imported / "models" / "bundle").info.recipe
    assert (recipe["crop"], recipe["low"], recipe["high"]) == (False, 0.0, 100.0)
    root = copy_project(imported, tmp_path / "again")
    made = api.import_keras(root / "own.keras", NAMES, root, crop=True, config=CONFIG)
    assert made.bundle.info.recipe["crop"] is True
    assert (root / "models" / "bundle.previous").is_dir()


def test_the_bundle_says_that_it_was_trained_elsewhere(imported: Path) -> None:
    bundle = open_bundle(imported / "models" / "bundle")
    located = bundle.info.has_heat_maps
    assert bundle.info.warnings == ("phantom", "imported", *(() if located else ("no_heat_map",)))
    assert (bundle.info.backbone, bundle.info.provenance.training_recipe) == ("imported", "imported")
    card = bundle.path(CARD_FILE).read_text(encoding="utf-8")
    assert "Training: elsewhere, on scans that are not known" in card
    assert ("**No heat map.**" in card, "one map of" in card) == (not located, located)


def test_heat_maps_are_empty_where_the_network_has_no_positions(imported: Path) -> None:
    predictor = Predictor.open(imported / "models" / "bundle")
    answer = predictor.predict(scan_of(imported))
    located = predictor.bundle.info.has_heat_maps
    assert any(answer.heat_map(name).any() for name in answer.labels.names) is located
    if not located:
        grey = np.repeat(answer.network_input[..., np.newaxis], 3, axis=-1)
        assert np.array_equal(np.asarray(answer.overlay()), grey)


@pytest.mark.parametrize("names", [NAMES[:3], (*NAMES, "other"), ("a", *NAMES[1:]), (NAMES[0], *NAMES[:3])])
def test_class_names_must_be_those_of_the_set(names: tuple[str, ...], prepared: Path, tmp_path: Path) -> None:
    root = copy_project(prepared, tmp_path / "project")
    with pytest.raises(ConfigError, match="class names must be those of the prepared set, glioma, meningioma"):
        api.import_keras(tmp_path / "own.keras", names, root, config=CONFIG)
    assert not (root / "models").exists()
