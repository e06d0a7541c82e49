from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.fields import Ensemble, Member
from brainslice.bundle.store import open_bundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft
from brainslice.decision.mc_dropout import HEAD_FILE, LinearHead
from brainslice.errors import UsageError
from brainslice.inference.engines.mc_dropout import with_mc_dropout
from brainslice.inference.predictor import Predictor
from stand_in import BIAS, SIZE, SLOPES, write_graph

SCAN = np.random.default_rng(5).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)


@pytest.fixture
def headed(tmp_path: Path, draft: BundleDraft) -> Path:
    """A bundle whose graph tells its one feature, the mean grey value, and whose head is beside it."""
    write_graph(tmp_path / GRAPH_FILE)
    head = LinearHead(np.array([SLOPES], np.float32), np.array(BIAS, np.float32), np.full(1, 0.4, np.float32))
    head.save(tmp_path / HEAD_FILE)
    files = {name: tmp_path / name for name in (GRAPH_FILE, HEAD_FILE)}
    return write_bundle(tmp_path / "bundle", draft, files).folder


def test_dropout_keeps_probabilities_and_adds_mutual_information(headed: Path) -> None:
    plain = Predictor.open(headed)
    thinned = with_mc_dropout(plain, 50)
    (before,), (after,) = plain.predict_inputs(["scan.png"], [SCAN]), thinned.predict_inputs(["scan.png"], [SCAN])
    assert after.probabilities == pytest.approx(before.probabilities)
    assert before.mutual_information is None
    assert after.mutual_information is not None
    assert 0 < after.mutual_information < after.entropy + 1


def test_draws_use_the_features_of_the_graph(headed: Path) -> None:
    output = with_mc_dropout(Predictor.open(headed), 50).score(SCAN[np.newaxis])
    head = LinearHead.read(headed / HEAD_FILE)
    assert output.member_logits is not None
    assert np.array_equal(output.member_logits, head.draw(output.features, 50))
    assert head.logits(output.features) == pytest.approx(output.logits, abs=1e-4)


def test_dropout_is_deterministic(headed: Path) -> None:
    answers = [with_mc_dropout(Predictor.open(headed), 30).predict_inputs(["scan.png"], [SCAN])[0] for _ in range(2)]
    assert answers[0].mutual_information == answers[1].mutual_information


def test_a_single_draw_raises(headed: Path) -> None:
    with pytest.raises(UsageError, match="must be at least 2"):
        with_mc_dropout(Predictor.open(headed), 1)


def test_bundle_without_head_file_raises(predictor: Predictor) -> None:
    with pytest.raises(UsageError, match=r"holds no head\.npz, so dropout cannot be drawn"):
        with_mc_dropout(predictor, 10)


def test_ensembles_are_refused(headed: Path, draft: BundleDraft) -> None:
    one = Member(digest="1" * 64, backbone="none", weights_digest="2" * 64, split_digest="3" * 64, temperature=1.0)
    bundle = open_bundle(headed)
    several = draft.model_copy(update={"ensemble": Ensemble(members=(one, one), members_per_scan=2)})
    place = write_bundle(headed.with_name("several"), several, {name: bundle.path(name) for name in bundle.info.files})
    with pytest.raises(UsageError, match="is an ensemble, which gives mutual information"):
        with_mc_dropout(Predictor.open(place.folder), 10)
