"""The one line from a file to an answer: read, prepare, run, calibrate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from brainslice.arrays import InputBatch, NetworkInput
from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.decision.temperature import Temperature
from brainslice.errors import BundleError, ConfigError, UnreadableScanError, UsageError
from brainslice.inference.decoding import BATCH, decode_batches
from brainslice.inference.default_bundle import open_bundle_or_default
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.inference.heat_map import positive_class_maps
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.verdict_rules import Decision, VerdictRules
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.scan.files import printable
from brainslice.scan.read import read_scan


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A bundle ready to answer.

    Attributes:
        bundle: Where it comes from.
        recipe: How a scan becomes a network input; the very one used in training.
        engine: What runs the network.
        temperature: What makes its probabilities honest.
        threshold: The probability of any tumour from which a scan is called one.
        verdict_rules: What may refer a scan to a person instead.
        frame: Which frame, page or axial slice to take from files that hold several, from 1; None refuses those.
    """

    bundle: ModelBundle
    recipe: Recipe
    engine: Engine
    temperature: Temperature
    threshold: float
    verdict_rules: VerdictRules
    frame: int | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds that are no probability."""
        if not 0.0 <= self.threshold <= 1.0:
            msg = f"threshold must be a probability from 0 to 1, got {self.threshold!r}"
            raise UsageError(msg)

    @classmethod
    def open(cls, bundle: Path | None = None, *, threshold: float | None = None, threads: int = 0) -> Predictor:
        """Open a bundle, check every byte of it, and make ready to answer.

        Args:
            bundle: The bundle's folder; the one that ships with the package where None.
            threshold: A threshold to use instead of the bundle's own.
            threads: How many threads may share one scan; 0 takes as many as there are cores.

        Returns:
            The predictor.

        Raises:
            BundleError: The bundle is incomplete, altered, or none of ours.
            UsageError: The threshold is no probability.
        """
        bundle = open_bundle_or_default() if bundle is None else bundle
        checked = open_bundle(bundle)
        try:
            recipe = Recipe.from_json(checked.info.recipe)
        except ConfigError as error:
            msg = f"{bundle}: its preprocessing cannot be followed ({error}); train a new bundle"
            raise BundleError(msg) from error
        return cls(
            bundle=checked,
            recipe=recipe,
            engine=OnnxEngine(checked.path(GRAPH_FILE), threads=threads),
            temperature=Temperature(checked.info.temperature),
            threshold=checked.info.threshold if threshold is None else threshold,
            verdict_rules=VerdictRules.of(checked),
        )

    def predict(self, path: Path) -> Prediction:
        """Answer for one file.

        Args:
            path: The scan.

        Returns:
            The answer; the same, to one part in a million, as when the scan is one of many.

        Raises:
            UnreadableScanError: The file is no scan that can be read.
            BundleError: The model gives no usable answer.
        """
        seen = self.recipe(read_scan(path, self.frame))
        return self.answer([printable(path.name)], [seen])[0]

    def predict_many(
        self, paths: Iterable[Path], progress: Progress = silent, *, workers: int = 0
    ) -> Iterator[Prediction | Refusal]:
        """Answer for many files; one that cannot be read does not stop the rest.

        Args:
            paths: The scans; taken a few batches ahead, so that an archive needs no more memory than a folder.
            progress: Told how many of them are done; of an iterator nobody knows the length, so its total grows.
            workers: How many threads decode scans while the network is busy; 0 takes as many as there are cores.

        Yields:
            An answer or a refusal for each path, in their order.

        Raises:
            BundleError: The model gives no usable answer.
            UsageError: The number of workers is below 0.
        """
        done, total = 0, len(paths) if isinstance(paths, Sized) else 0
        for prepared in decode_batches(paths, self._prepare_or_refuse, workers):
            yield from self._answer_or_refuse(prepared)
            done += len(prepared)
            progress("predict", done, max(done, total))

    def score(self, inputs: InputBatch, progress: Progress = silent) -> EngineOutput:
        """Run the network on inputs that are prepared already, a batch at a time.

        Args:
            inputs: Network inputs ``(n, h, w)``, made by this predictor's recipe; may be memory-mapped.
            progress: Told how many of the ``n`` are done.

        Returns:
            Logits ``(n, k)``, class maps ``(n, mh, mw, k)`` and features ``(n, f)``, before any temperature.

        Raises:
            BundleError: The model cannot take the inputs, or does not answer as its bundle promises.
        """
        expected = (*self.bundle.info.class_map_shape, len(self.bundle.labels))
        parts = []
        for start in range(0, len(inputs), BATCH):
            output = self.engine.run(inputs[start : start + BATCH])
            if output.class_maps.shape[1:] != expected:
                got = output.class_maps.shape[1:]
                msg = f"{self.bundle.folder}: class maps must be {expected}, got {got}; train a new bundle"
                raise BundleError(msg)
            parts.append(output)
            progress("score", min(start + BATCH, len(inputs)), len(inputs))
        return EngineOutput.join(parts) if parts else EngineOutput.empty(expected)

    def answer(self, names: Sequence[str], seen: Sequence[NetworkInput]) -> list[Prediction]:
        """Answer for scans that this predictor's recipe has prepared.

        Args:
            names: What each scan is called in its answer.
            seen: A network input ``(h, w)`` each.

        Returns:
            An answer each, in their order.

        Raises:
            BundleError: The model gives no usable answer.
        """
        if not seen:
            return []
        output = self.score(np.stack(seen))
        probabilities = self.temperature.probabilities(output.logits)
        judgements = self.verdict_rules.decide(output, seen, self.temperature, self.threshold)
        rows = zip(names, seen, probabilities, output.class_maps, judgements, strict=True)
        return [self._say(name, picture, row, maps, judged) for name, picture, row, maps, judged in rows]

    def _answer_or_refuse(
        self, prepared: Sequence[tuple[Path, NetworkInput | Refusal]]
    ) -> Iterator[Prediction | Refusal]:
        readable = [(path, item) for path, item in prepared if not isinstance(item, Refusal)]
        answers = iter(self.answer([printable(path.name) for path, _ in readable], [seen for _, seen in readable]))
        for _, item in prepared:
            yield item if isinstance(item, Refusal) else next(answers)

    def _prepare_or_refuse(self, path: Path) -> tuple[Path, NetworkInput | Refusal]:
        try:
            return path, self.recipe(read_scan(path, self.frame))
        except UnreadableScanError as error:
            return path, Refusal(source=printable(path.name), reason=str(error))

    def _say(
        self,
        name: str,
        seen: NetworkInput,
        probabilities: Float[np.ndarray, " k"],
        class_maps: Float[np.ndarray, "mh mw k"],
        judged: Decision,
    ) -> Prediction:
        labels = self.bundle.labels
        return Prediction(
            source=name,
            labels=labels,
            probabilities=dict(zip(labels.names, probabilities.tolist(), strict=True)),
            threshold=self.threshold,
            warnings=self.bundle.info.warnings,
            bundle=self.bundle.info.digest,
            network_input=seen,
            class_maps=positive_class_maps(class_maps, self.bundle.info.class_map_bias),
            verdict=judged.verdict,
            reasons=judged.reasons,
            prediction_set=judged.prediction_set,
            coverage=judged.coverage,
            ood_score=judged.ood_score,
            mutual_information=judged.mutual_information,
        )
