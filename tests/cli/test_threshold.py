from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from brainslice.bundle.store import open_bundle
from brainslice.paths import ProjectPaths
from command import WORDS, call
from other_site import write_site
from stand_in import config, write_bundle_for

pytestmark = pytest.mark.usefixtures("blank_figures")

Capture = pytest.CaptureFixture[str]
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def trained(project: Path) -> Path:
    write_bundle_for(ProjectPaths.of(project, config()), config())
    return project


def points(root: Path) -> dict[str, float]:
    return {point.name: point.threshold for point in open_bundle(root / "models" / "bundle").info.operating_points}


def test_every_target_is_stored_and_printed(trained: Path, capsys: Capture) -> None:
    goals = ("--target-sensitivity", "0.8", "--target-specificity", "0.7", "--youden", "--cost-ratio", "5",
             "--net-benefit", "0.2", "--prevalence", "0.1")  # fmt: skip
    assert call("threshold", "--project-root", trained, *WORDS, *goals, "--save") == 0
    said = capsys.readouterr()
    names = {"sensitivity-0.8", "specificity-0.7", "youden", "cost-ratio-5", "net-benefit-0.2"}
    assert points(trained).keys() == names
    assert all(f"{name}: P(tumour) >=" in said.out for name in names)
    assert "not guaranteed for others" in said.out
    curve = json.loads((trained / "models" / "bundle" / "operating_curve.json").read_text())
    assert curve["points"][0]["sensitivity"]["value"] == 1.0
    assert "at a prevalence of 0.1: PPV" in said.out
    assert "tuned on: phantom, validation scans of the clean protocol" in said.err
    written = {path.name for path in (trained / "reports" / "operating_points").iterdir()}
    assert written == {f"{name}.json" for name in names} | {f"decision_curve.{end}" for end in ("json", "png", "svg")}


def test_bundle_threshold_changes_with_use_only(trained: Path, capsys: Capture) -> None:
    before = open_bundle(trained / "models" / "bundle").info.digest
    assert call("threshold", "--project-root", trained, *WORDS) == 0
    assert open_bundle(trained / "models" / "bundle").info.digest == before
    assert "not changed; add --save" in capsys.readouterr().err
    assert call("threshold", "--project-root", trained, *WORDS, "--save") == 0
    saved = open_bundle(trained / "models" / "bundle").info
    assert (saved.threshold, saved.digest != before) == (0.4, True)
    assert f"new digest: {saved.digest}" in capsys.readouterr().out
    assert call("threshold", "--project-root", trained, *WORDS, "--use", "youden") == 0
    assert open_bundle(trained / "models" / "bundle").info.threshold == points(trained)["youden"]
    assert "threshold P(tumour) >= " in capsys.readouterr().out


def test_a_later_search_keeps_the_points_of_an_earlier_one(trained: Path) -> None:
    assert call("threshold", "--project-root", trained, *WORDS, "--youden", "--save") == 0
    assert call("threshold", "--project-root", trained, *WORDS, "--cost-ratio", "9", "--name", "ward-3", "--save") == 0
    assert points(trained).keys() == {"youden", "ward-3"}


def test_threshold_reads_no_test_scans(trained: Path) -> None:
    path = trained / "configs" / "config.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("inference: {threshold: 0.5}\ndata: {image_size: 64, folds: 3}\n")
    before = path.read_bytes()
    assert call("threshold", "--project-root", trained, "--config", path, "--youden", "--use", "youden") == 0
    assert path.read_bytes() == before
    assert not (trained / "reports" / "test_ledger.jsonl").exists()


def test_unreachable_guarantee_changes_nothing(trained: Path, capsys: Capture) -> None:
    goals = ("--youden", "--target-sensitivity", "0.95", "--guarantee")
    assert call("threshold", "--project-root", trained, *WORDS, *goals) == 6
    assert "needs at least 45 groups of tumour scans" in capsys.readouterr().err
    assert not points(trained)
    assert not (trained / "reports" / "operating_points").exists()


def test_guarantee_is_stored(trained: Path) -> None:
    goals = ("--target-sensitivity", "0.2", "--guarantee", "--guarantee-unit", "group", "--confidence", "0.8")
    assert call("threshold", "--project-root", trained, *WORDS, *goals, "--save") == 0
    (point,) = open_bundle(trained / "models" / "bundle").info.operating_points
    assert point.guarantee is not None
    assert (point.guarantee.unit, point.guarantee.confidence) == ("group", 0.8)


def test_predict_uses_a_point_by_name(trained: Path, capsys: Capture) -> None:
    assert call("threshold", "--project-root", trained, *WORDS, "--youden", "--save") == 0
    scan = next((trained / "source" / "Testing" / "glioma").iterdir())
    capsys.readouterr()
    assert call("predict", scan, "--project-root", trained, "--operating-point", "youden", "--json") == 0
    assert json.loads(capsys.readouterr().out)["threshold"] == points(trained)["youden"]
    assert call("predict", scan, "--project-root", trained, "--operating-point", "ward") == 2
    assert "it holds youden" in capsys.readouterr().err
    assert call("predict", scan, "--project-root", trained, "--operating-point", "youden", "--threshold", "0.5") == 2


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--target-sensitivity", "1.5"), "above 0 and below 1"),
        (("--youden", "--cost-ratio", "2", "--name", "x"), "names one operating point"),
        (("--youden", "--prevalence", "1"), "--prevalence must be a share"),
        (("--youden", "--guarantee"), "needs a rate to guarantee"),
        (("--use", "ward"), "it holds none yet"),
    ],
)
def test_invalid_settings_raise(trained: Path, words: tuple[str, ...], fault: str, capsys: Capture) -> None:
    assert call("threshold", "--project-root", trained, *WORDS, *words) == 2
    assert fault in capsys.readouterr().err


def test_tuning_on_half_of_a_folder(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    write_site(trained / "data" / "external_navoneel")
    (trained / "configs").mkdir(exist_ok=True)
    (trained / "configs" / "config.yaml").write_text("data: {image_size: 64, folds: 3}\n")
    monkeypatch.chdir(trained)
    words = ["--config", "configs/config.yaml", "--data", "data/external_navoneel"]
    monkeypatch.setattr(sys, "argv", ["optimize_threshold.py", *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PROJECT / "tools" / "optimize_threshold.py"), run_name="__main__")
    assert not ended.value.code
    said = capsys.readouterr()
    assert "held out scans" in said.out
    assert "of other groups are reported on" in said.err
    (point,) = open_bundle(trained / "models" / "bundle").info.operating_points
    assert (point.name, point.measured_on) == ("youden", "held out")
