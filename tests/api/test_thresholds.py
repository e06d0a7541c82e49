from __future__ import annotations

from pathlib import Path

import pytest

import brainslice
from brainslice.bundle.store import open_bundle
from brainslice.errors import UsageError
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.service.model_info import OperatingCurve
from stand_in import FOLDS, SIZE

SETTINGS = {"data.image_size": SIZE, "data.folds": FOLDS, "model.weights": "none"}


def test_a_threshold_is_written_only_where_that_is_asked_for(trained: Path) -> None:
    bundle = trained / "models" / "bundle"
    before = open_bundle(bundle).info.digest
    found = brainslice.find_threshold(0.8, str(trained), config=SETTINGS)
    assert (open_bundle(bundle).info.digest, found.saved) == (before, False)
    saved = brainslice.find_threshold(0.8, trained, config=SETTINGS, save=True)
    curve = (saved.bundle.folder / "operating_curve.json").read_text(encoding="utf-8")
    assert OperatingCurve.model_validate_json(curve).points
    assert saved.bundle.info.digest == open_bundle(bundle).info.digest != before
    name = saved.points[0].point.name
    assert name in repr(saved)
    assert brainslice.use_operating_point(str(bundle), name).info.threshold == saved.points[0].point.threshold


def test_the_bundle_that_ships_is_never_changed(trained: Path) -> None:
    with pytest.raises(UsageError, match="never changed"):
        brainslice.find_threshold(0.9, trained, bundle=DEFAULT_BUNDLE, config=SETTINGS, save=True)
    with pytest.raises(UsageError, match="never changed"):
        brainslice.use_operating_point(DEFAULT_BUNDLE, "youden")
