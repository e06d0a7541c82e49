from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import brainslice
from brainslice.api import evaluation
from brainslice.errors import DatasetError
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from brainslice.training import tracking
from brainslice.training.tracking import TrackedRun
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


def test_scores_are_added_to_the_run_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[TrackedRun, Path]] = []

    def track(run: TrackedRun, root: Path, _config: object) -> tuple[str, ...]:
        runs.append((run, root))
        return ("mlflow could not record this run",)

    monkeypatch.setattr(tracking, "track", track)
    info = SimpleNamespace(name="drawn", digest="ab" * 32)
    scores = (SimpleNamespace(name="accuracy", value=0.75), SimpleNamespace(name="tumour_auc", value=None))
    test = SimpleNamespace(
        predictor=SimpleNamespace(bundle=SimpleNamespace(info=info)), evaluation=SimpleNamespace(scores=scores)
    )
    chosen = config("log.tracker=mlflow")
    add = inspect.unwrap(evaluation._track)  # the stand-ins have other types
    with pytest.warns(UserWarning, match="could not record this run"):
        add(test, chosen, ProjectPaths.of(tmp_path, chosen))
    metrics = {"test_accuracy": 0.75, "test_tumour_auc": None}
    assert runs == [(TrackedRun("drawn", "ab" * 32, {}, (), metrics), tmp_path)]
    add(test, config(), ProjectPaths.of(tmp_path, config()))
    assert len(runs) == 1
