from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.errors import DatasetError, UsageError
from brainslice.evaluation import robustness
from brainslice.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from brainslice.evaluation.robustness import Robustness, measure_robustness
from brainslice.evaluation.scoring import evaluate_test_set
from brainslice.paths import ProjectPaths
from other_site import write_site
from stand_in import config, guarded, write_bundle_for


@pytest.fixture
def paths(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    guarded(write_bundle_for(found, config()))
    return found


@pytest.fixture(autouse=True)
def two_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(each for each in CORRUPTIONS if each.name in {"noise", "crop"})
    monkeypatch.setattr(robustness, "CORRUPTIONS", kept)


@pytest.fixture
def swept(paths: ProjectPaths) -> Robustness:
    return measure_robustness(paths, config(), sample=0)


def accesses(paths: ProjectPaths) -> list[dict[str, object]]:
    return [json.loads(line) for line in paths.test_access_log.read_text().splitlines()]


def test_severity_0_is_the_plain_evaluation(swept: Robustness, paths: ProjectPaths) -> None:
    evaluation = evaluate_test_set(paths, config()).evaluation
    assert swept.plain.score("accuracy") == evaluation.score("accuracy")
    assert swept.plain.score("ece").value == pytest.approx(evaluation.score("ece").value)
    assert evaluation.abstention is not None
    assert swept.plain.score("referred") == evaluation.abstention.referred
    assert swept.plain.score("accuracy_change").value == 0


def test_every_kind_and_severity_is_scored_on_the_same_scans(swept: Robustness) -> None:
    told = swept.to_json()
    assert [len(kind["severities"]) for kind in told["corruptions"].values()] == [SEVERITIES] * 2
    assert {each.score("accuracy").n for each in swept.conditions} == {told["n"]} == {len(swept.scans.labels)}
    for each in swept.conditions:
        change = each.score("accuracy").value - swept.plain.score("accuracy").value
        assert each.score("accuracy_change").value == pytest.approx(change)
        assert each.score("unfit").value <= each.score("referred").value
        assert each.score("accuracy_answered").n == round(told["n"] * (1 - each.score("referred").value))
    assert json.loads(json.dumps(told)) == told


def test_a_sweep_is_the_same_every_time_and_each_is_logged(swept: Robustness, paths: ProjectPaths) -> None:
    for path in paths.cache.glob("robustness-*/*.npz"):
        path.unlink()
    again = measure_robustness(paths, config(), sample=0)
    assert again.to_json() == swept.to_json() | {"test_openings": 2}
    few = measure_robustness(paths, config(), sample=3)
    assert few.test_accesses == 3
    assert [entry["scans"] for entry in accesses(paths)] == [len(swept.scans.labels)] * 2 + [3]


def test_an_interrupted_sweep_resumes(paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: str, done: int, __: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_robustness(paths, config(), progress=interrupt)
    answered: list[int] = []
    answer = robustness._answer

    def count(*arguments: object) -> robustness.Answers:
        answered.append(1)
        return answer(*arguments)

    monkeypatch.setattr(robustness, "_answer", count)
    done = measure_robustness(paths, config())
    assert len(answered) == 1 + len(done.conditions) - 4
    damaged = next(paths.cache.glob("robustness-*/noise-2.npz"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert measure_robustness(paths, config()).plain == done.plain


def test_a_folder_is_scored_without_an_access_to_the_test_scans(paths: ProjectPaths, tmp_path: Path) -> None:
    found = measure_robustness(paths, config(), data=write_site(tmp_path / "clinic"))
    assert found.test_accesses is None
    assert found.scans.label_set.names == ("yes", "no")
    assert 0 <= found.plain.score("accuracy").value <= 1
    assert not paths.test_access_log.exists()


def test_the_shipped_bundle_is_refused_on_another_set(project: Path) -> None:
    with pytest.raises(DatasetError, match="trained on another set"):
        measure_robustness(ProjectPaths.of(project, config()), config())


def test_a_sample_below_0_is_refused(paths: ProjectPaths) -> None:
    with pytest.raises(UsageError, match="sample must be"):
        measure_robustness(paths, config(), sample=-1)


def test_probabilities_of_a_tumour_are_summed_where_the_folders_tell_no_class() -> None:
    labels = robustness.LabelSet()
    told = robustness.LabelSet(("yes", "no"), healthy="no")
    probabilities = np.array([[0.1, 0.2, 0.6, 0.1]])
    np.testing.assert_allclose(robustness._restrict(told, probabilities, labels), [[0.4, 0.6]])
