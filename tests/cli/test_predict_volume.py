from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brainslice.inference import default_bundle
from brainslice.paths import ProjectPaths
from command import call
from hospital import PATIENT, SERIES, head, image, nifti, write_series, written
from stand_in import config, copy_project, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(prepared, tmp_path_factory.mktemp("volume") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return write_series(tmp_path / "series", head(24))


def test_volume_is_printed_with_curve_and_notes(trained: Path, series: Path, capsys: Capture) -> None:
    assert call("predict-volume", series, "--project-root", trained) == 0
    said = capsys.readouterr()
    assert said.out.startswith(("tumour: ", "no tumour: "))
    for words in (
        str(series),
        "[phantom]",
        "threshold 0.4",
        "not calibrated",
        "single slices",
        "inferior to superior",
        "of 24",
    ):
        assert words in said.out
    assert "research only" in said.err
    assert not any(secret in said.out + said.err for secret in (PATIENT, SERIES, "4711"))


def test_shipped_bundle_is_used_outside_a_project(
    trained: Path, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", trained / "models" / "bundle")
    assert call("predict-volume", series, "--project-root", tmp_path) == 0
    assert "model: the bundle that ships with brainslice: mean grey value (" in capsys.readouterr().err


def test_volume_json(trained: Path, series: Path, capsys: Capture) -> None:
    assert call("predict-volume", series, "--project-root", trained, "--json") == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert (answer["source"], answer["total_slices"]) == ("series", 24)
    assert not said.err


def test_gradcam_draws_decisive_slices_and_curve(trained: Path, series: Path, tmp_path: Path) -> None:
    assert call("predict-volume", series, "--project-root", trained, "--gradcam", tmp_path / "maps", "--json") == 0
    drawn = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert [name for name in drawn if name.startswith("curve")] == ["curve.png", "curve.svg"]
    assert len([name for name in drawn if name.startswith("slice_")]) == 3


def test_a_series_becomes_dicom_objects_when_asked(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")
    path = write_series(tmp_path / "head", head(12), StudyInstanceUID=f"{SERIES}.1", FrameOfReferenceUID=f"{SERIES}.3")
    words = ("--project-root", trained, "--dicom-out", tmp_path / "out")
    assert call("predict-volume", path, *words) == 0
    names = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert names == ["head_capture.dcm", "head_map.dcm", "head_report.dcm"]
    volume = tmp_path / "head.nii"
    volume.write_bytes(nifti(head(12).T.astype(np.int16)))
    assert call("predict-volume", volume, *words) == 0
    assert "no DICOM file, so no DICOM report was written" in capsys.readouterr().err


def test_first_volume_option(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "several.nii"
    path.write_bytes(nifti(np.stack([head(24).T, head(24).T], axis=3).astype(np.int16)))
    assert call("predict-volume", path, "--project-root", trained) == 3
    assert "--first-volume" in capsys.readouterr().err
    assert call("predict-volume", path, "--project-root", trained, "--first-volume") == 0


def test_predict_refers_volumes_to_predict_volume(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "frames.dcm"
    path.write_bytes(written(image(head(6))))
    assert call("predict", path, "--project-root", trained) == 3
    refused = capsys.readouterr().err
    assert "brainslice predict-volume" in refused
    assert "--frame N" in refused
    assert call("predict", path, "--project-root", trained, "--frame", "3") == 0
    assert "P(tumour)" in capsys.readouterr().out


def test_predict_refers_nifti_volumes_to_predict_volume(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "head.nii.gz"
    path.write_bytes(gzip.compress(nifti(head(24).T.astype(np.int16))))
    assert call("predict", path, "--project-root", trained) == 3
    reason, end = capsys.readouterr().err.splitlines()[:2]
    assert "brainslice predict-volume" in reason
    assert "--frame N" in reason
    assert "were predicted" not in end
    assert call("predict-volume", path, "--project-root", trained) == 0
    assert str(path) in capsys.readouterr().out


def test_dicom_files_without_suffix_are_found(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("slice.dcm", "IM0001"):
        (tmp_path / "study" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "study" / name).write_bytes(written(image(head(24)[12])))
    assert call("predict", tmp_path / "study", "--project-root", trained, "--json") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 2
    assert answers[0]["probabilities"] == answers[1]["probabilities"]


_WHAT_IS_LOADED = """
import sys
from brainslice.cli.main import main
try:
    main(*sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
heavy = {"pydicom", "nibabel", "matplotlib", "scipy", "tensorflow"}
print(sorted({name.split(".")[0] for name in sys.modules} & heavy))
"""


def test_images_need_no_dicom_library(trained: Path) -> None:
    scan = next((trained / "source" / "Testing" / "glioma").iterdir())
    command = [sys.executable, "-c", _WHAT_IS_LOADED, "predict", str(scan), "--project-root", str(trained)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_series_needs_pydicom_and_no_other_heavy_library(trained: Path, series: Path) -> None:
    command = [sys.executable, "-c", _WHAT_IS_LOADED, "volume", str(series), "--project-root", str(trained)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['pydicom']"


def test_several_volumes_and_archives_are_predicted_in_one_run(
    trained: Path, series: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "cd").mkdir()
    (tmp_path / "cd" / "README.txt").write_text("x")
    shutil.copytree(series, tmp_path / "cd" / "SE0")
    disc = Path(shutil.make_archive(str(tmp_path / "disc"), "zip", tmp_path / "cd"))
    broken = tmp_path / "broken.nii"
    broken.write_bytes(b"x" * 400)
    volumes = (series, broken, disc)
    assert call("predict-volume", *volumes, "--project-root", trained, "--json", "--gradcam", tmp_path / "maps") == 3
    said = capsys.readouterr()
    first, refused, third = (json.loads(line) for line in said.out.splitlines())
    assert [each["source"] for each in (first, refused, third)] == ["series", "broken.nii", "disc.zip"]
    assert "refused" in refused
    assert first["tumour_probability"] == third["tumour_probability"]
    assert "passed over: 1 files that are no scans (README.txt)" in third["notes"]
    assert "1 of 3 volumes could not be predicted" in said.err
    assert sorted(each.name for each in (tmp_path / "maps").iterdir()) == ["disc", "series"]
