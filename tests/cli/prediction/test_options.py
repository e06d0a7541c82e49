from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.store import write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft
from brainslice.cli.prediction.options import PredictOptions
from brainslice.decision.mc_dropout import HEAD_FILE, LinearHead
from brainslice.errors import UsageError
from brainslice.paths import ProjectPaths
from command import call
from stand_in import BIAS, SLOPES, config, copy_project, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def headed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle with its head beside it, and a scan."""
    root = copy_project(prepared, tmp_path_factory.mktemp("asking") / "project")
    bundle = write_bundle_for(ProjectPaths.of(root, config()), config())
    head = LinearHead(np.array([SLOPES], np.float32), np.array(BIAS, np.float32), np.full(1, 0.4, np.float32))
    head.save(root / HEAD_FILE)
    draft = BundleDraft(**{name: getattr(bundle.info, name) for name in BundleDraft.model_fields})
    files = {GRAPH_FILE: bundle.path(GRAPH_FILE), HEAD_FILE: root / HEAD_FILE}
    scan = next((root / "source" / "Testing" / "glioma").iterdir())
    return write_bundle(root / "headed", draft, files).folder, scan


def test_dropout_tells_how_far_thinned_networks_disagree(headed: tuple[Path, Path], capsys: Capture) -> None:
    bundle, scan = headed
    assert call("predict", scan, "--bundle", bundle) == 0
    plain = capsys.readouterr().out
    assert call("predict", scan, "--bundle", bundle, "--dropout", 20) == 0
    thinned = capsys.readouterr().out
    assert "mutual information" not in plain
    assert "mutual information" in thinned
    assert thinned.startswith(plain)


def test_views_are_averaged_the_same_way_every_time_and_owned_up_to(headed: tuple[Path, Path], capsys: Capture) -> None:
    bundle, scan = headed
    answers = []
    for words in ((), ("--tta",), ("--tta",)):
        assert call("predict", scan, "--bundle", bundle, "--json", *words) == 0
        said = capsys.readouterr()
        answers.append(json.loads(said.out)["probabilities"])
        assert ("fitted without views" in said.err) == bool(words)
    assert answers[1] == answers[2] != answers[0]


@pytest.mark.parametrize("option", [("--tta",), ("--dropout", "10")])
def test_a_table_never_mixes_two_ways_of_asking(
    headed: tuple[Path, Path], tmp_path: Path, option: tuple[str, ...], capsys: Capture
) -> None:
    bundle, scan = headed
    words = ("predict", scan, "--bundle", bundle, "--output", tmp_path / "table.csv", *option)
    assert call(*words) == 2
    assert "must not be mixed; add --overwrite" in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()
    assert call(*words, "--overwrite") == 0
    assert (tmp_path / "table.csv").is_file()


def test_what_cannot_be_meant_together_is_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        PredictOptions(threshold=0.5, point="screening")
    with pytest.raises(UsageError, match="--tta and --dropout"):
        PredictOptions(views=True, draws=5)
