"""Monte Carlo dropout at prediction: thinned networks as further voices, for the price of one pass."""

from __future__ import annotations

from dataclasses import replace

from brainslice.arrays import InputBatch
from brainslice.decision.mc_dropout import HEAD_FILE, LinearHead
from brainslice.errors import UsageError
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.inference.predictor import Predictor

_LEAST = 2


class McDropoutEngine:
    """An engine that also tells what thinned networks would say, in the place of an ensemble's members.

    The answer itself stays that of the whole network, which the temperature was fitted for.
    """

    def __init__(self, engine: Engine, head: LinearHead, draws: int) -> None:
        """Take the engine, its network's head, and how many thinned networks to ask."""
        self._engine = engine
        self._head = head
        self._draws = draws

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once; see ``Engine.run``."""
        output = self._engine.run(batch)
        features = output.features if output.feature_maps is None else output.feature_maps
        return replace(output, member_logits=self._head.draw(features, self._draws), feature_maps=None)


def with_mc_dropout(predictor: Predictor, draws: int) -> Predictor:
    """Let a predictor ask thinned networks too, so that it can tell how far they contradict each other.

    Args:
        predictor: The predictor of one network.
        draws: How many thinned networks; the same ones for every scan and every time.

    Returns:
        One whose answers are the same, with the mutual information and the dissent of the thinned networks.

    Raises:
        UsageError: There are fewer than two draws, the bundle is an ensemble, or it is older than its head's file.
    """
    bundle = predictor.bundle
    if draws < _LEAST:
        msg = f"dropout must be drawn at least {_LEAST} times to contradict itself, got {draws}"
        raise UsageError(msg)
    if bundle.info.ensemble is not None:
        msg = (
            f"{bundle.folder}: is an ensemble, whose members tell by themselves how sure they are; leave --dropout out"
        )
        raise UsageError(msg)
    if HEAD_FILE not in bundle.info.files:
        msg = f"{bundle.folder}: holds no {HEAD_FILE}, so dropout cannot be drawn; train a new bundle"
        raise UsageError(msg)
    head = LinearHead.read(bundle.path(HEAD_FILE))
    engine = predictor.engine
    if head.by_position and isinstance(engine, OnnxEngine):
        engine = engine.with_feature_maps()
    return replace(predictor, engine=McDropoutEngine(engine, head, draws))
