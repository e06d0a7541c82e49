from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import brainslice
from brainslice.errors import DatasetError
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from drawn_heads import symmetric_head, with_lesion
from stand_in import FOLDS, SIZE, config, copy_project, write_bundle_for

SETTINGS = {"data.image_size": SIZE, "data.folds": FOLDS, "model.weights": "none"}


def test_validate_compares_the_bundle_with_the_one_adapted_to_the_site(trained: Path, tmp_path: Path) -> None:
    root = copy_project(trained, tmp_path / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    write_external_site(tmp_path / "clinic", heads_per_kind=6, slices=1, seed=4)
    found = brainslice.validate(str(tmp_path / "clinic"), str(root), config=SETTINGS)
    assert repr(found) == "<ValidationResult clinic n=12>"
    assert json.loads(found.files[0].read_text())["schema"] == "brainslice/external-site/1"
    assert found.page.is_file()
    copy_project(root / "models" / "bundle", root / "models" / "adapted_clinic")
    assert len(brainslice.validate(tmp_path / "clinic", root, config=SETTINGS).validation.bundles) == 2


def test_lesion_test_scores_each_folder_and_writes_them(tmp_path: Path) -> None:
    Image.fromarray(symmetric_head(0)).save(tmp_path / "a.png")
    Image.fromarray(with_lesion(symmetric_head(0))[0]).save(tmp_path / "b.png")
    (tmp_path / "slices.csv").write_text("path,patient,tumour\na.png,p,0\nb.png,p,1\n")
    (found,) = brainslice.lesion_test([str(tmp_path)], output=str(tmp_path / "found.json"))
    assert found.name == tmp_path.name
    assert json.loads((tmp_path / "found.json").read_text())["schema"] == "brainslice/lesion-test/1"
    with pytest.raises(DatasetError, match=r"slices\.csv"):
        brainslice.lesion_test([tmp_path / "nowhere"])
