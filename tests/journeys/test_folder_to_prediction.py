"""One folder of scans goes all the way: prepared, trained under both protocols, judged, and used."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.cli.main import main
from brainslice.inference.predictor import Predictor
from projects import Project

pytestmark = [pytest.mark.slow]

FIGURES = (
    "cm",
    "cm_norm",
    "roc_curves",
    "pr_curves",
    "reliability_diagram",
    "confidence_hist",
    "acc_curve",
    "loss_curve",
)
DOCUMENTS = (
    "calibration_metrics.json",
    "classification_report.txt",
    "model_card.md",
    "summary.json",
    "report.json",
    "training_history.json",
)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(*words)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("deeper", ["", "official"])
def test_every_promised_output_is_there(phantom_project: Project, deeper: str) -> None:
    reports, models = phantom_project.root / "reports" / deeper, phantom_project.root / "models" / deeper
    for name in (*DOCUMENTS, *(f"{figure}.{kind}" for figure in FIGURES for kind in ("png", "svg"))):
        assert (reports / name).stat().st_size > 0, name
    assert len(list((reports / "gradcam").glob("*.png"))) == 8
    assert {path.name for path in (models / "bundle").iterdir()} >= {"model.keras", "model.onnx", "bundle.json"}
    assert (models / "best.keras").read_bytes() == (models / "bundle" / "model.keras").read_bytes()
    assert not (models / "unfinished").exists()


def test_the_two_protocols_cannot_be_mistaken_for_each_other(phantom_project: Project) -> None:
    clean, official = (read(phantom_project.root / "reports" / deeper / "report.json") for deeper in ("", "official"))
    said = json.dumps(clean)
    assert "leaky" not in json.dumps(clean["evaluation"]["warnings"])
    assert "leaky" in official["evaluation"]["warnings"]
    assert "phantom" in said
    assert "clean" in phantom_project.said
    assert "official" in phantom_project.said
    assert "phantom" in phantom_project.said


def test_learns_what_grey_levels_do_not_tell(phantom_project: Project) -> None:
    evaluation = read(phantom_project.root / "reports" / "report.json")["evaluation"]
    accuracy, floor = (part["scores"]["accuracy"]["value"] for part in (evaluation, evaluation["baseline"]))
    assert accuracy > 0.5
    assert accuracy > floor


def test_the_test_set_was_opened_once_a_protocol(phantom_project: Project) -> None:
    lines = (phantom_project.root / "reports" / "test_ledger.jsonl").read_text().splitlines()
    openings = [json.loads(line) for line in lines]
    assert [opening["protocol"] for opening in openings[:2]] == ["clean", "official"]
    assert read(phantom_project.root / "reports" / "report.json")["test_openings"] == 1


def test_predicts_a_file_a_folder_and_refuses_a_broken_one(
    phantom_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = sorted((phantom_project.source / "Testing" / "pituitary").iterdir())[:3]
    for scan in scans:
        shutil.copy(scan, tmp_path)
    (tmp_path / "broken.png").write_bytes(scans[0].read_bytes()[:300])
    bundle = phantom_project.root / "models" / "bundle"
    overlays = tmp_path / "overlays"
    assert run("predict", str(tmp_path), "--bundle", str(bundle), "--json", "--gradcam", str(overlays)) == 3
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 4
    assert sum("refused" in answer for answer in answers) == 1
    for answer in answers:
        if "refused" not in answer:
            assert sum(answer["probabilities"].values()) == pytest.approx(1)
            assert "phantom" in answer["warnings"]
    pictures = list(overlays.glob("*.png"))
    assert len(pictures) == 3
    for picture in pictures:
        with Image.open(picture) as overlay:
            assert min(overlay.size) > 90


def test_the_reported_numbers_are_those_that_users_get(phantom_project: Project) -> None:
    from brainslice.dataset.manifest import Manifest
    from brainslice.dataset.splits.split import Protocol, make_split

    manifest = Manifest.read(phantom_project.root / "data")
    test = make_split(manifest, Protocol.CLEAN).test
    predictor = Predictor.open(phantom_project.root / "models" / "bundle")
    names = [predictor.predict(manifest.paths[place]).predicted_class for place in test]
    right = np.mean([name == manifest.records[place].label for name, place in zip(names, test, strict=True)])
    evaluation = read(phantom_project.root / "reports" / "report.json")["evaluation"]
    assert evaluation["scores"]["accuracy"]["value"] == pytest.approx(right)


@pytest.mark.usefixtures("blank_figures")
def test_evaluating_again_is_counted_and_changes_nothing_else(phantom_project: Project, tmp_path: Path) -> None:
    root = tmp_path / "again"
    shutil.copytree(phantom_project.root, root, symlinks=True)
    before = read(root / "reports" / "report.json")
    main_words = ("evaluate", "--project-root", str(root), *phantom_project.words)
    assert run(*main_words) == 0
    after = read(root / "reports" / "report.json")
    assert (before.pop("test_openings"), after.pop("test_openings")) == (1, 2)
    for report in (before, after):
        report.pop("timestamps", None)
    assert before == after


@pytest.mark.slow_only
def test_the_same_seed_gives_the_same_weights_and_the_same_report(phantom_project: Project, tmp_path: Path) -> None:
    root = tmp_path / "twin"
    shutil.copytree(phantom_project.source, root / "source")
    words = ("--project-root", str(root), *phantom_project.words)
    assert run("prepare", str(root / "source"), "--project-root", str(root)) == 0
    assert run("train", "--weights", "shipped", *words) == 0
    assert run("threshold", "--target-sensitivity", "0.95", "--save", *words) == 0
    assert run("evaluate", *words) == 0
    reports = [read(base / "reports" / "report.json") for base in (phantom_project.root, root)]
    assert reports[0]["model"]["provenance"]["weights_digest"] == reports[1]["model"]["provenance"]["weights_digest"]
    for report in reports:
        report.pop("timestamps")
    assert reports[0] == reports[1]


def test_an_official_split_that_leaks_is_refused_without_a_word(
    phantom_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "leaky"
    shutil.copytree(phantom_project.root / "data", root / "data", symlinks=True)
    assert run("train", "--protocol", "official", "--project-root", str(root), "--weights", "shipped") == 2
    assert "--accept-leaks" in capsys.readouterr().err
    assert not (root / "models").exists()


def test_a_bundle_that_was_altered_is_refused(
    phantom_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(phantom_project.root / "models" / "bundle", bundle)
    graph = bytearray((bundle / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (bundle / "model.onnx").write_bytes(graph)
    scan = next((phantom_project.source / "Testing" / "glioma").iterdir())
    assert run("predict", str(scan), "--bundle", str(bundle)) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bundle_of_another_split_is_not_judged(
    phantom_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "other"
    shutil.copytree(phantom_project.root, root, symlinks=True)
    words = ("--project-root", str(root), *phantom_project.words, "--set", "data.test_fold=1")
    assert run("evaluate", *words) == 3
    assert "another split" in capsys.readouterr().err


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("train", [(), pytest.param(("src/train.py",), marks=pytest.mark.slow_only)])
def test_the_original_commands_run(
    phantom_project: Project,
    tmp_path: Path,
    train: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = Path(__file__).parents[2]
    root = tmp_path / "original"
    shutil.copytree(phantom_project.root, root, symlinks=True)
    shutil.copytree(phantom_project.source, root / "source")
    scan = next((phantom_project.source / "Testing" / "glioma").iterdir())
    config = root / "config.yaml"
    config.write_text(
        "data: {image_size: 96}\ntrain: {quick: {views: 0, head_epochs: 2, epochs: 0}, lesion: {weight: 0}}\n"
        "model: {weights: shipped, head: linear}\n"
    )
    preparing = ("--val-size", "0.1", "--use-symlinks", "--source", str(root / "source"))
    for script, *words in (
        ("tools/download_and_prepare_kaggle.py", *preparing),
        *((script, "--config", str(config)) for script in train),
        ("src/eval.py", "--config", str(config)),
        ("src/infer.py", "--config", str(config), "--image", str(scan), "--threshold", "0.65", "--gradcam"),
    ):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [script, *words, "--project-root", str(root)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(here / script), run_name="__main__")
        assert not ended.value.code, script
    assert "0.65" in capsys.readouterr().out
    assert any("said" not in path.name for path in (root / "reports" / "gradcam").glob("*.png"))
