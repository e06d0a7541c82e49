from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.decision.out_of_distribution import OutOfDistributionDetector
from brainslice.errors import UsageError
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.tables.worklist import make_worklist
from stand_in import config, copy_project, prepare_project, write_bundle_for


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(
        prepare_project(tmp_path_factory.mktemp("prepared") / "project"),
        tmp_path_factory.mktemp("worklist") / "project",
    )


@pytest.fixture(scope="module")
def predictor(root: Path) -> Predictor:
    return Predictor.open(write_bundle_for(ProjectPaths.of(root, config()), config()).folder, threads=1)


def test_worklist_is_sorted_and_marked_by_budget(predictor: Predictor, root: Path) -> None:
    cases = make_worklist(predictor, [root / "source" / "Testing"], 0.25)
    scores = [case.uncertainty for case in cases]
    assert len(cases) >= 8
    assert scores == sorted(scores, reverse=True)
    assert [case.review for case in cases] == sorted((case.review for case in cases), reverse=True)
    assert sum(case.review for case in cases) == -(-len(cases) // 4)


def test_unreadable_files_come_first_beyond_the_budget(predictor: Predictor, root: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    cases = make_worklist(predictor, [root / "source" / "Testing" / "glioma", tmp_path / "broken.png"], 0.0)
    assert [case.review for case in cases] == [True] + [False] * (len(cases) - 1)
    assert cases[0].uncertainty is None
    assert "broken.png" in cases[0].row["refused"]


class EveryOther(OutOfDistributionDetector):
    """A detector that rejects every other scan."""

    def ood_score(self, features: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(features)) % 2, 3.0, 0.5)


def test_out_of_distribution_scans_come_first(predictor: Predictor, root: Path) -> None:
    detector = EveryOther(np.ones(1, np.float32), np.zeros((1, 0), np.float32), 0.5)
    unusual = replace(predictor, verdict_rules=replace(predictor.verdict_rules, ood_detector=detector))
    cases = make_worklist(unusual, [root / "source" / "Testing" / "glioma"], 0.0)
    outside = [case.row["ood_score"] > 1 for case in cases]
    assert len(set(outside)) == 2
    assert outside == sorted(outside, reverse=True)
    assert outside == [case.uncertainty is not None and case.uncertainty > 1 for case in cases]
    assert {case.row["verdict"] for case in cases if case.row["ood_score"] > 1} == {"refer"}


def test_row_to_json(predictor: Predictor, root: Path) -> None:
    for case in make_worklist(predictor, [root / "source" / "Testing" / "glioma"], 0.5):
        row = json.loads(json.dumps(case.to_json()))
        assert row == case.to_json()
        assert row["verdict"] in {"tumour", "no tumour", "refer"}


def test_a_budget_that_is_no_share_is_refused_before_anything_is_read(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="review budget"):
        make_worklist(predictor, [tmp_path / "none.png"], 1.5)
