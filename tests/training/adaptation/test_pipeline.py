from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.adaptation import read_adaptation
from brainslice.bundle.store import open_bundle
from brainslice.dataset.external_site import read_external_site, site_inputs
from brainslice.errors import ForgettingError
from brainslice.inference.predictor import Predictor
from brainslice.models.build import NetworkConfig
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent
from brainslice.training.adaptation import pipeline as adapting
from brainslice.training.adaptation.pipeline import AdaptationResult, adapt
from small_training import SMALL, StoppedError, interrupt_at, rebuilt_network, use_small_network
from stand_in import SIZE, config, copy_project

ADAPTING = (
    "adapt.folds=3",
    "adapt.steps=4",
    "adapt.checks=2",
    "adapt.views=1",
    "adapt.replay=12",
    "adapt.batch_size=8",
)

pytestmark = pytest.mark.usefixtures("eager_functions")


def adapt_in(root: Path, *words: str, accept: bool = True, progress: Progress = silent) -> AdaptationResult:
    chosen = config(*SMALL, *ADAPTING, *words)
    paths = ProjectPaths.of(root, chosen)
    folder = root / "elsewhere"
    return adapt(paths, chosen, folder, paths.bundle, accept_forgetting=accept, progress=progress)


def test_methods_are_compared_and_a_bundle_is_written(adaptable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "SIZES", (4, 100))
    found = adapt_in(adaptable)
    names = [entry.name for entry in found.entries]
    assert names[0] == "base"
    assert set(names[1:]) == {
        *("base, source threshold", "threshold only", "temperature only"),
        *("BatchNorm statistics", "head only", "last blocks and head"),
    }
    assert {entry.scores.auc.n for entry in found.entries} == {18}
    assert [point.labelled for point in found.curve] == [0, 4, None]
    assert sorted(path.name for path in (adaptable / "models").iterdir()) == [
        *("adapted_elsewhere", "best.keras", "bundle", "finetuned_elsewhere.keras"),
    ]
    card = (found.bundle.folder / "README.md").read_text()
    assert "Another site" in card
    assert "Out of fold" in card
    assert found.bundle.info.warnings == ("phantom",)


@dataclass(frozen=True)
class Adapted:
    """A project after an adaptation without learning curve, for reading only."""

    root: Path
    result: AdaptationResult


@pytest.fixture(scope="module")
def adapted(trained_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    root = copy_project(trained_project, tmp_path_factory.mktemp("adapted") / "project")
    with pytest.MonkeyPatch.context() as patched:
        use_small_network(patched)
        return Adapted(root, adapt_in(root, "adapt.learning_curve=false"))


def test_bundle_stores_out_of_fold_predictions(adapted: Adapted) -> None:
    found = adapted.result
    stored = read_adaptation(open_bundle(found.bundle.folder))
    assert stored is not None
    assert (stored.site, stored.scans, len(stored.out_of_fold)) == ("elsewhere", 18, 18)
    called = sum(answer.predicted_tumour for answer in stored.out_of_fold)
    scores = found.entries[-1].scores
    assert called == 9 - scores.false_negatives + scores.false_positives
    assert stored.base == open_bundle(adapted.root / "models" / "bundle").info.digest


def test_ood_detector_is_fitted_anew(adapted: Adapted) -> None:
    found = adapted.result
    info = found.bundle.info
    assert info.ood_detector is not None
    assert info.ood_detector.training_scans == 12 + 18
    predictor = Predictor.open(found.bundle.folder)
    assert predictor.verdict_rules.ood_detector is not None
    scans = site_inputs(read_external_site(adapted.root / "elsewhere", found.bundle.labels, None), predictor.recipe)
    usual = predictor.verdict_rules.ood_detector.ood_score(predictor.score(scans).features)
    noise = np.random.default_rng(0).integers(0, 256, scans.shape, dtype=np.uint8)
    strange = predictor.verdict_rules.ood_detector.ood_score(predictor.score(noise).features)
    assert np.median(usual) < np.median(strange)
    assert info.conformal is None
    assert info.operating_points == ()


def test_graph_keras_file_and_metrics_agree(adapted: Adapted) -> None:
    found = adapted.result
    network = rebuilt_network(NetworkConfig(size=SIZE, weights=found.network))
    scans = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
    ours = network.model.predict_on_batch(scans[..., np.newaxis].astype(np.float32))["logits"]
    np.testing.assert_allclose(Predictor.open(found.bundle.folder).score(scans).logits, ours, atol=1e-4)
    base = Predictor.open(adapted.root / "models" / "bundle").score(scans).logits
    assert not np.allclose(base, ours, atol=1e-3)


@pytest.mark.traced
def test_run_is_repeatable_and_resumes(adapted: Adapted, adaptable: Path) -> None:
    straight = adapted.result
    with pytest.raises(StoppedError):
        adapt_in(adaptable, "adapt.learning_curve=false", progress=interrupt_at("fine-tuning the tail", 2))
    resumed = adapt_in(adaptable, "adapt.learning_curve=false")
    assert resumed.bundle.info.provenance.weights_digest == straight.bundle.info.provenance.weights_digest
    assert [entry.scores for entry in resumed.entries] == [entry.scores for entry in straight.entries]


def test_forgetting_raises_and_writes_nothing(adaptable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = adapting._final

    def forgetting(*words: object) -> adapting.Outcome:
        return replace(honest(*words), before=0.9, after=0.8)

    monkeypatch.setattr(adapting, "_final", forgetting)
    with pytest.raises(ForgettingError, match=r"falls by 0\.100, from 0\.900 to 0\.800"):
        adapt_in(adaptable, "adapt.learning_curve=false", accept=False)
    assert not (adaptable / "models" / "adapted_elsewhere").exists()
    stored = read_adaptation(adapt_in(adaptable, "adapt.learning_curve=false", accept=True).bundle)
    assert stored is not None
    assert stored.forgetting_accepted
