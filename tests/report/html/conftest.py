from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import brainslice
from brainslice.bundle.store import ModelBundle
from brainslice.config import Config
from brainslice.paths import ProjectPaths
from stand_in import config, draw_blank_figures, guarded, prepare_project, write_bundle_for
from sweeps import sweep


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of a stand-in for a trained model on drawn heads, for reading only."""
    root = prepare_project(tmp_path_factory.mktemp("project"))
    bundle: ModelBundle = write_bundle_for(ProjectPaths.of(root, config()), config())
    guarded(bundle)
    with pytest.MonkeyPatch.context() as patched:
        draw_blank_figures(patched)
        return brainslice.evaluate(root, config=config(), overlays=0).reports


@pytest.fixture(scope="session")
def complete(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with every other artefact that a run may leave."""
    folder = Path(shutil.copytree(evaluated, tmp_path_factory.mktemp("complete") / "reports"))
    report = read(folder / "report.json")
    official = json.loads(json.dumps(report)) | {"test_openings": 3}
    official["evaluation"] |= {"protocol": "official", "warnings": ["phantom", "leaky"]}
    scores = report["evaluation"]["scores"]
    rates = {name: scores[name] for name in ("sensitivity", "specificity", "accuracy")} | {"auc": scores["tumour_auc"]}
    counts = {"n": 12, "tumours": 6, "groups": 12}
    epoch = {"number": 1, "stage": "head", "loss": 1.25, "accuracy": 0.5}
    epochs = [epoch | {"validation_loss": 1.5, "validation_accuracy": 0.25}, epoch | {"number": 2}]
    epochs[1] |= {"validation_loss": 1.0, "validation_accuracy": 0.75}
    curve = {name: [0.5, 0.25] for name in ("net_benefit", "low", "high", "treat_all")}
    curve |= {"threshold_probability": [0.1, 0.9], "prevalence": 0.75, "n": 8, "groups": 4}
    twins = {"name": "mirror twins", "scores": {"twin_auc": scores["tumour_auc"]}, "counts": {"pairs": 4}}
    report["evaluation"]["source_controlled"] = [twins]
    files = {
        "report.json": report,
        "official/report.json": official,
        "external/clinic.json": {"site": "clinic", **counts, "entries": [{"name": "bundle", **rates}]},
        "external/clinic_adaptation.json": {"site": "clinic", "comparison": [{"name": "adapted", **rates}]},
        "operating_points/decision_curve.json": curve,
        "training_history.json": {"epochs": epochs},
        "training_run.json": {
            "settings": Config().model_dump(mode="json"),
            "seconds": 61.5,
            "machine": report["timestamps"]["machine"],
        },
        "gains.json": {"accuracy": {"members": [0.5, 0.625], "ensemble": 0.75, "difference": 0.1875, "interval": None}},
        "robustness.json": sweep().to_json(),
        "crossval/crossval.json": {
            "folds": [report["evaluation"]] * 2,
            "out_of_fold": report["evaluation"],
            "mean_and_standard_deviation": {"accuracy": {"mean": 0.625, "sd": 0.125}},
        },
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return folder
