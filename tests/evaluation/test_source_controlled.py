from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.counterfactual import feathered, mirror_twins, opposite
from brainslice.errors import DatasetError
from brainslice.evaluation.scoring import evaluate_test_set
from brainslice.evaluation.source_controlled import log_odds, read_slices, score_mirror_twins, score_slices, sham
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
    assert any("auc_within_patients: " in line for line in found.summary_lines())


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
def test_an_invalid_table_is_one_clear_error(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "slices.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        read_slices(tmp_path)


def test_a_missing_table_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"slices\.csv: cannot be read"):
        read_slices(tmp_path)


def test_log_odds_follow_p_tumour_without_saturating() -> None:
    logits = np.array([[0.0, 0.0, 0.0], [60.0, 0.0, 0.0], [80.0, 0.0, 0.0]])
    found = log_odds(logits, 2)
    assert found[0] == pytest.approx(np.log(2.0))
    assert found[1] < found[2]


def test_a_sham_changes_neither_the_lesion_nor_its_mirror_image() -> None:
    picture, lesion = with_lesion(symmetric_head(2))
    picture = np.clip(picture + np.random.default_rng(0).integers(0, 20, picture.shape), 0, 255).astype(np.uint8)
    twins = mirror_twins(picture, lesion)
    assert twins is not None
    changed = sham(picture, lesion, twins, np.random.default_rng(1))
    assert changed is not None
    differs = changed != picture
    assert differs.any()
    assert not (differs & (lesion | opposite(lesion, twins.midline))).any()
    assert differs.sum() < 3 * (feathered(lesion) > 0).sum()


def test_without_masks_there_are_no_twins(project: Path) -> None:
    settings = config()
    places = ProjectPaths.of(project, settings)
    write_bundle_for(places, settings)
    judged = evaluate_test_set(places, settings)
    assert judged.manifest.masks is None or score_mirror_twins(judged) is not None
    if judged.manifest.masks is None:
        assert score_mirror_twins(judged) is None
