"""Monte Carlo dropout at prediction, for the cost of one pass through the network."""

from __future__ import annotations

from dataclasses import replace

from brainslice.arrays import InputBatch
from brainslice.decision import HEAD_FILE, LinearHead
from brainslice.errors import UsageError
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.inference.predictor import Predictor

_MIN_DRAWS = 2


class McDropoutEngine:
    """An engine that returns dropout draws as ``member_logits``; logits are those without dropout."""

    def __init__(self, engine: Engine, head: LinearHead, draws: int) -> None:
        self._engine = engine
        self._head = head
        self._draws = draws

    def run(self, batch: InputBatch) -> EngineOutput:
        """Run the network on a batch; see ``Engine.run``."""
        output = self._engine.run(batch)
        features = output.features if output.feature_maps is None else output.feature_maps
        return replace(output, member_logits=self._head.draw(features, self._draws), feature_maps=None)


def with_mc_dropout(predictor: Predictor, draws: int) -> Predictor:
    """Return a predictor of equal probabilities with mutual information and disagreement of dropout draws.

    Args:
        predictor: The predictor of a single network.
        draws: The number of draws; the masks are the same for every scan.

    Raises:
        UsageError: There are fewer than two draws, the bundle is an ensemble, lacks the head's file, or was trained
            without dropout.
    """
    bundle = predictor.bundle
    if draws < _MIN_DRAWS:
        msg = f"the number of dropout draws must be at least {_MIN_DRAWS}, got {draws}"
        raise UsageError(msg)
    if bundle.info.ensemble is not None:
        msg = f"{bundle.folder}: is an ensemble, which gives mutual information without dropout; leave --dropout out"
        raise UsageError(msg)
    if HEAD_FILE not in bundle.info.files:
        msg = f"{bundle.folder}: holds no {HEAD_FILE}, so dropout cannot be drawn; train a new bundle"
        raise UsageError(msg)
    head = LinearHead.read(bundle.path(HEAD_FILE))
    if not head.rate.any():
        msg = f"{bundle.folder}: was trained without dropout, so every draw would be the same; leave --dropout out"
        raise UsageError(msg)
    engine = predictor.engine
    if head.by_position and isinstance(engine, OnnxEngine):
        engine = engine.with_feature_maps()
    return replace(predictor, engine=McDropoutEngine(engine, head, draws))
