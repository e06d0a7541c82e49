from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from brainslice.arrays import InputBatch
from brainslice.bundle.model_card import render_model_card
from brainslice.bundle.store import open_bundle
from brainslice.errors import BundleError, ParityError
from brainslice.evaluation.half_precision_parity import measure_half_precision
from brainslice.files import write_text
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from stand_in import SIZE, config, prepare_project, write_bundle_for

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_default_bundle.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare_project(tmp_path_factory.mktemp("halving") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture(scope="module")
def predictor(project: Path) -> Predictor:
    return Predictor.open(project / "models" / "bundle")


@dataclass(frozen=True)
class Shifted:
    """An engine whose first logit is a little off."""

    engine: Engine
    by: float

    def run(self, batch: InputBatch) -> EngineOutput:
        output = self.engine.run(batch)
        output.logits[:, 0] += np.float32(self.by)
        return output


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(40, SIZE, SIZE), dtype=np.uint8)


def test_a_small_change_is_measured(predictor: Predictor, inputs: np.ndarray) -> None:
    found = measure_half_precision(predictor, Shifted(predictor.engine, 0.01), inputs)
    share = predictor.temperature.probabilities(predictor.engine.run(inputs).logits)[:, 0]
    # The slope of a softmax at one of its shares, over the temperature.
    assert found.probabilities == pytest.approx((share * (1 - share)).max() * 0.01 / 1.5, rel=0.02)
    assert (found.n, found.same_class, found.source) == (40, 1.0, predictor.bundle.info.digest)


def test_large_change_raises(predictor: Predictor, inputs: np.ndarray) -> None:
    with pytest.raises(ParityError, match=r"16-bit weights must change no probability by more than 0\.01"):
        measure_half_precision(predictor, Shifted(predictor.engine, 1.0), inputs)


def test_tool_writes_a_bundle_with_its_parity(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, bundle = runpy.run_path(str(TOOL))["main"], project / "models" / "bundle"
    with pytest.raises(BundleError, match="run brainslice evaluate"):
        make(bundle, project, tmp_path / "default_bundle")
    reports = ProjectPaths.of(project, config()).reports
    write_text(reports / "model_card.md", render_model_card(open_bundle(bundle).info, ["mirror twins, pairs: 10"]))
    write_text(reports / "summary.json", "{}")
    make(bundle, project, tmp_path / "default_bundle")
    assert "mirror twins, pairs: 10" in (tmp_path / "default_bundle" / "README.md").read_text(encoding="utf-8")
    made, whole = open_bundle(tmp_path / "default_bundle").info, open_bundle(project / "models" / "bundle").info
    assert made.half_precision is not None
    assert made.half_precision.source == whole.digest
    assert made.half_precision.n == whole.provenance.validation_images
    assert "model.keras" not in made.files
    assert made.temperature == whole.temperature
    assert "keep their class" in capsys.readouterr().out
    assert (
        f"Weights are stored in 16 bits. Against those of 32 bits (bundle `{whole.digest[:12]}`)"
        in render_model_card(made)
    )
    assert "16 bits" not in render_model_card(whole)
