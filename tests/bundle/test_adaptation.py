from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainslice.bundle.adaptation import (
    ADAPTATION_FILE,
    Adaptation,
    HeldOutPrediction,
    adapted_name,
    read_adaptation,
)
from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.errors import BundleError
from brainslice.files import sha256_of

ADAPTATION = Adaptation(
    site="elsewhere",
    scans=2,
    groups=2,
    base="a" * 64,
    settings={"steps": 40},
    source_macro_f1_before=0.9,
    source_macro_f1_after=0.89,
    forgetting_accepted=False,
    comparison=[],
    learning_curve=[],
    out_of_fold=(HeldOutPrediction(pixels="b" * 64, tumour_probability=0.3, predicted_tumour=True),),
)


def with_file(bundle: ModelBundle, text: str) -> ModelBundle:
    path = bundle.folder / ADAPTATION_FILE
    path.write_text(text, encoding="utf-8")
    files = {**bundle.info.files, ADAPTATION_FILE: sha256_of(path)}
    return ModelBundle(bundle.folder, bundle.info.model_copy(update={"files": files}))


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    from brainslice.paths import ProjectPaths
    from stand_in import config, prepare_project, write_bundle_for

    places = ProjectPaths.of(prepare_project(tmp_path / "project"), config())
    return write_bundle_for(places, config())


def test_adaptation_round_trip(bundle: ModelBundle) -> None:
    assert read_adaptation(open_bundle(bundle.folder)) is None
    assert read_adaptation(with_file(bundle, ADAPTATION.to_text())) == ADAPTATION


def test_invalid_adaptation_file_raises(bundle: ModelBundle) -> None:
    with pytest.raises(BundleError, match="adapt the base bundle again"):
        read_adaptation(with_file(bundle, json.dumps({"format": 9})))


@pytest.mark.parametrize(("site", "name"), [("external_navoneel", "adapted_navoneel"), ("clinic", "adapted_clinic")])
def test_the_bundle_is_named_for_the_site(site: str, name: str) -> None:
    assert adapted_name(site) == name
