"""Prediction of scans: read, preprocess, run the network, calibrate, decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path

import numpy as np

from brainslice.arrays import InputBatch, NetworkInput
from brainslice.bundle import GRAPH_FILE, ModelBundle, check_signature, open_bundle
from brainslice.deadline import check_deadline
from brainslice.decision import Temperature
from brainslice.errors import BundleError, ConfigError, UnreadableScanError, UsageError
from brainslice.inference.decoding import BATCH, ScanSource, decode_batches, read_source, source_name
from brainslice.inference.default_bundle import open_bundle_or_default
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.inference.heat_map import positive_class_maps
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.verdict_rules import VerdictRules
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress, silent
from brainslice.scan import Remark


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A bundle opened for prediction.

    Attributes:
        bundle: The bundle.
        recipe: The preprocessing, the same as in training.
        engine: The engine that runs the network.
        temperature: The temperature of the probabilities.
        threshold: P(tumour) from which a scan is predicted as a tumour.
        verdict_rules: The rules that refer a scan to a person.
        frame: The frame, page or axial slice of files of several, from 1; None refuses such files.
        decoding_threads: The number of threads that decode many scans; 0 for one each core.
    """

    bundle: ModelBundle
    recipe: Recipe
    engine: Engine
    temperature: Temperature
    threshold: float
    verdict_rules: VerdictRules
    frame: int | None = None
    decoding_threads: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            msg = f"threshold must be a probability from 0 to 1, got {self.threshold!r}"
            raise UsageError(msg)

    def __repr__(self) -> str:
        """Show the bundle's name and digest, and the threshold."""
        info = self.bundle.info
        return f"<Predictor {info.name} ({info.digest[:12]}), threshold {self.threshold:g}>"

    @classmethod
    def open(
        cls,
        bundle: str | PathLike[str] | None = None,
        *,
        threshold: float | None = None,
        threads: int = 0,
        require_signature: str | PathLike[str] | None = None,
    ) -> Predictor:
        """Open a bundle and check the hash of every file.

        Args:
            bundle: The bundle's folder; None for the shipped one.
            threshold: A threshold instead of the bundle's.
            threads: The number of threads of the engine, and of those that decode many scans; 0 for one each core.
            require_signature: Ed25519 public key in PEM that must have signed the bundle; None for any bundle.

        Raises:
            BundleError: The bundle is incomplete or altered, or not signed by that key.
            UsageError: The threshold is not a probability.
        """
        bundle = open_bundle_or_default() if bundle is None else Path(bundle)
        checked = open_bundle(bundle)
        if require_signature is not None:
            check_signature(checked, Path(require_signature))
        try:
            recipe = Recipe.from_json(checked.info.recipe)
        except ConfigError as error:
            msg = f"{bundle}: its preprocessing is invalid ({error}); train a new bundle"
            raise BundleError(msg) from error
        return cls(
            bundle=checked,
            recipe=recipe,
            engine=OnnxEngine(checked.path(GRAPH_FILE), threads=threads),
            temperature=Temperature(checked.info.temperature),
            threshold=checked.info.threshold if threshold is None else threshold,
            verdict_rules=VerdictRules.of(checked),
            decoding_threads=threads,
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
        scan = read_source(source, self.frame)
        (prediction,) = self.predict_inputs([source_name(source)], [self.recipe(scan)])
        return replace(prediction, remarks=scan.remarks)

    def predict_many(
        self, sources: Iterable[ScanSource], progress: Progress = silent, *, workers: int = 0
    ) -> Iterator[Prediction | Refusal]:
        """Predict many scans; one that cannot be read does not stop the rest.

        Args:
            sources: The scans, each as of ``predict``; read a few batches ahead.
            progress: Called with step, done and total; the total of an iterator grows.
            workers: The number of decoding threads; 0 for ``decoding_threads``.

        Yields:
            A prediction or a refusal for each scan, in their order.

        Raises:
            BundleError: The output of the model is invalid.
            UsageError: The number of workers is below 0.
        """
        done, total = 0, len(sources) if isinstance(sources, Sized) else 0
        for prepared in decode_batches(sources, self._prepare_or_refuse, workers or self.decoding_threads):
            yield from self._predict_readable(prepared)
            done += len(prepared)
            progress("predict", done, max(done, total))

    def score(self, inputs: InputBatch, progress: Progress = silent) -> EngineOutput:
        """Run the network on preprocessed inputs, a batch at a time.

        Args:
            inputs: Network inputs ``(n, h, w)``, made by this predictor's recipe; may be memory-mapped.
            progress: Called with step, done and total.

        Returns:
            Logits ``(n, k)``, class maps ``(n, mh, mw, k)`` and features ``(n, f)``, before any temperature.

        Raises:
            BundleError: The model cannot take the inputs, or its class maps have another shape than the bundle states.
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

    def predict_inputs(self, names: Sequence[str], inputs: Sequence[NetworkInput]) -> list[Prediction]:
        """Predict scans that this predictor's recipe has preprocessed.

        Args:
            names: The source of each prediction.
            inputs: The network input ``(h, w)`` of each scan.

        Raises:
            BundleError: The output of the model is invalid.
        """
        if not inputs:
            return []
        output, info = self.score(np.stack(inputs)), self.bundle.info
        probabilities = self.temperature.probabilities(output.logits)
        decisions = self.verdict_rules.decide(output, inputs, self.temperature, self.threshold)
        rows = zip(names, inputs, probabilities, output.class_maps, decisions, strict=True)
        return [
            Prediction(
                source=name,
                labels=self.bundle.labels,
                probabilities=dict(zip(self.bundle.labels.names, shares.tolist(), strict=True)),
                threshold=self.threshold,
                warnings=info.warnings,
                bundle=info.digest,
                network_input=pixels,
                class_maps=positive_class_maps(maps, info.class_map_bias),
                **{field.name: getattr(decision, field.name) for field in fields(decision)},
            )
            for name, pixels, shares, maps, decision in rows
        ]

    def _predict_readable(
        self, prepared: Sequence[tuple[ScanSource, NetworkInput | Refusal, tuple[Remark, ...]]]
    ) -> Iterator[Prediction | Refusal]:
        readable = [(source_name(source), item) for source, item, _ in prepared if not isinstance(item, Refusal)]
        predictions = iter(self.predict_inputs([name for name, _ in readable], [item for _, item in readable]))
        for _, item, remarks in prepared:
            yield item if isinstance(item, Refusal) else replace(next(predictions), remarks=remarks)

    def _prepare_or_refuse(self, source: ScanSource) -> tuple[ScanSource, NetworkInput | Refusal, tuple[Remark, ...]]:
        try:
            scan = read_source(source, self.frame)
            return source, self.recipe(scan), scan.remarks
        except UnreadableScanError as error:
            return source, Refusal(source=source_name(source), reason=str(error)), ()
