"""Prediction of scans: read, preprocess, run the network, calibrate, decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float

from brainslice.arrays import InputBatch, NetworkInput
from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.bundle.types import GRAPH_FILE
from brainslice.deadline import check_deadline
from brainslice.decision.temperature import Temperature
from brainslice.errors import BundleError, ConfigError, UnreadableScanError, UsageError
from brainslice.inference.decoding import BATCH, ScanSource, decode_batches, read_source, source_name
from brainslice.inference.default_bundle import open_bundle_or_default
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.inference.heat_map import positive_class_maps
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.verdict_rules import Decision, VerdictRules
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A bundle opened for prediction.

    Attributes:
        bundle: The bundle.
        recipe: The preprocessing, the same as in training.
        engine: The engine that runs the network.
        temperature: The temperature of the probabilities.
        threshold: The probability of any tumour from which a scan is called one.
        verdict_rules: The rules that refer a scan to a person.
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
        """Check that the threshold is a probability."""
        if not 0.0 <= self.threshold <= 1.0:
            msg = f"threshold must be a probability from 0 to 1, got {self.threshold!r}"
            raise UsageError(msg)

    def __repr__(self) -> str:
        """Show the bundle's name and digest, and the threshold."""
        info = self.bundle.info
        return f"<Predictor {info.name} ({info.digest[:12]}), threshold {self.threshold:g}>"

    @classmethod
    def open(
        cls, bundle: str | PathLike[str] | None = None, *, threshold: float | None = None, threads: int = 0
    ) -> Predictor:
        """Open a bundle and check the hash of every file.

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
        bundle = open_bundle_or_default() if bundle is None else Path(bundle)
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

    def predict(self, source: ScanSource) -> Prediction:
        """Predict one scan.

        Args:
            source: A path, the bytes of a file, grey values ``(h, w)``, 8-bit colours ``(h, w, 3)``, or a PIL image.

        Returns:
            The prediction; equal, to one part in a million, to that of the scan among many.

        Raises:
            UnreadableScanError: The source cannot be read as one slice.
            BundleError: The output of the model is invalid.
        """
        seen = self.recipe(read_source(source, self.frame))
        return self.answer([source_name(source)], [seen])[0]

    def predict_many(
        self, sources: Iterable[ScanSource], progress: Progress = silent, *, workers: int = 0
    ) -> Iterator[Prediction | Refusal]:
        """Predict many scans; one that cannot be read does not stop the rest.

        Args:
            sources: The scans, each as of ``predict``; read a few batches ahead, so that memory stays bounded.
            progress: Called with step, done and total; the total of an iterator grows.
            workers: How many threads decode scans while the network runs; 0 takes as many as there are cores.

        Yields:
            A prediction or a refusal for each scan, in their order.

        Raises:
            BundleError: The output of the model is invalid.
            UsageError: The number of workers is below 0.
        """
        done, total = 0, len(sources) if isinstance(sources, Sized) else 0
        for prepared in decode_batches(sources, self._prepare_or_refuse, workers):
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
            TimeLimitError: The deadline of the context has passed.
        """
        expected = (*self.bundle.info.class_map_shape, len(self.bundle.labels))
        parts = []
        for start in range(0, len(inputs), BATCH):
            check_deadline()
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
        self, prepared: Sequence[tuple[ScanSource, NetworkInput | Refusal]]
    ) -> Iterator[Prediction | Refusal]:
        readable = [(source, item) for source, item in prepared if not isinstance(item, Refusal)]
        answers = iter(self.answer([source_name(source) for source, _ in readable], [seen for _, seen in readable]))
        for _, item in prepared:
            yield item if isinstance(item, Refusal) else next(answers)

    def _prepare_or_refuse(self, source: ScanSource) -> tuple[ScanSource, NetworkInput | Refusal]:
        try:
            return source, self.recipe(read_source(source, self.frame))
        except UnreadableScanError as error:
            return source, Refusal(source=source_name(source), reason=str(error))

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
