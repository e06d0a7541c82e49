from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.counterfactual import OutlinedScans
from brainslice.errors import DatasetError
from brainslice.evaluation.scoring import evaluate_test_set
from brainslice.evaluation.source_controlled import log_odds, read_slices, score_mirror_twins, score_slices
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.scan.read import read_scan
from drawn_heads import symmetric_head, with_lesion
from stand_in import config, write_bundle_for


def slices_folder(folder: Path, patients: int = 3) -> Path:
    folder.mkdir()
    rows = []
    for patient in range(patients):
        head = symmetric_head(patient)
        diseased, lesion = with_lesion(head, radius=24)
        Image.fromarray(head).save(folder / f"{patient}_0.png")
        Image.fromarray(diseased).save(folder / f"{patient}_1.png")
        Image.fromarray(lesion).save(folder / f"{patient}_mask.png")
        rows += [
            (f"{patient}_0.png", f"p{patient}", "0", ""),
            (f"{patient}_1.png", f"p{patient}", "1", f"{patient}_mask.png"),
        ]
    with (folder / "slices.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("path", "patient", "tumour", "mask"), *rows])
    return folder


@pytest.fixture
def predictor(project: Path) -> Predictor:
    settings = config()
    return Predictor.open(write_bundle_for(ProjectPaths.of(project, settings), settings).folder)


def test_a_folder_of_slices_is_scored_by_patient(tmp_path: Path, predictor: Predictor) -> None:
    folder = slices_folder(tmp_path / "slices")
    found = score_slices(folder, predictor)
    scores = {score.name: score for score in found.scores}
    # The stand-in ranks by mean grey alone; a bright lesion makes the stretched head darker.
    grey = [predictor.recipe(read_scan(folder / f"{p}_{tumour}.png")).mean() for p in range(3) for tumour in (0, 1)]
    expected = np.mean([grey[2 * patient + 1] > grey[2 * patient] for patient in range(3)])
    assert scores["auc_within_patients"].value == expected
    assert (scores["auc_within_patients"].n, scores["auc_within_patients"].groups) == (6, 3)
    assert found.counts["large_tumours"] == 3
    assert 0 < (scores["energy_inside_mask"].value or 0) < 1
    assert (scores["energy_per_share_of_head"].value or 0) > 0
    assert found.to_json()["scores"]["auc"]["n"] == 6
    assert any("auc within patients: " in line for line in found.summary_lines())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "lacks the column path"),
        ("path,patient\na,b\n", "lacks the column tumour"),
        ("path,patient,tumour\n", "at least one row, got none"),
        ("path,patient,tumour\na.png,p,1\nb.png,p,yes\n", "line 3: .* got 'b.png', 'p' and 'yes'"),
        ("path,patient,tumour\na.png,,1\n", "line 2: path and patient must not be empty"),
    ],
)
def test_invalid_table_raises(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "slices.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        read_slices(tmp_path)


def test_missing_table_raises(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"slices\.csv: cannot be read"):
        read_slices(tmp_path)


def test_log_odds_follow_p_tumour_without_saturating() -> None:
    logits = np.array([[0.0, 0.0, 0.0], [60.0, 0.0, 0.0], [80.0, 0.0, 0.0]])
    found = log_odds(logits, 2)
    assert found[0] == pytest.approx(np.log(2.0))
    assert found[1] < found[2]


def shrunk(picture: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture.astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST))


def test_twins_of_test_scans_are_scored_pair_by_pair(predictor: Predictor) -> None:
    heads = [symmetric_head(number) for number in range(3)]
    pictures = [with_lesion(head) for head in heads[:2]] + [(heads[2], np.zeros(heads[2].shape, np.bool_))]
    size = predictor.recipe.size
    inputs, lesions = (np.stack([shrunk(pair[part], size) for pair in pictures]) for part in (0, 1))
    outlines = np.packbits(lesions > 0, axis=-1)
    scans = OutlinedScans(inputs, outlines, np.array([0, 0, 2]), 2, np.array([0, 1, 2]))
    found = score_mirror_twins(predictor, scans, predictor.score(inputs).logits, np.array([7, 8, 9]))
    assert found is not None
    assert found.patients.tolist() == [7, 8]
    assert found.scores.shape == found.called.shape == (2, 2)
    assert set(found.sham) <= {-1, 0, 1}


def test_scans_without_outlines_make_no_twins(predictor: Predictor) -> None:
    size = predictor.recipe.size
    nothing = np.zeros((2, size, size // 8), np.uint8)
    scans = OutlinedScans(np.zeros((2, size, size), np.uint8), nothing, np.array([0, 2]), 2, np.arange(2))
    assert score_mirror_twins(predictor, scans, np.zeros((2, 4), np.float32), np.arange(2)) is None


def test_an_evaluation_states_the_source_controlled_test_first(project: Path, tmp_path: Path) -> None:
    settings = config()
    paths = ProjectPaths.of(project, settings)
    write_bundle_for(paths, settings)
    found = evaluate_test_set(paths, settings, slices=[slices_folder(tmp_path / "slices")]).evaluation
    lines = found.summary_lines()
    assert lines[1].startswith("mirror twins, twin auc: ")
    assert any(line.startswith("slices, auc: ") for line in lines)
    assert [test["name"] for test in found.to_json()["source_controlled"]] == ["mirror twins", "slices"]
    without = dataclasses.replace(found, source_controlled=())
    assert without.summary_lines()[1].startswith("source-controlled test: not run")
