"""An adapted network becomes a bundle that says what it was adapted to and what that came to."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.arrays import Logits
from brainslice.bundle.abstention import StoredOodDetector
from brainslice.bundle.adaptation import ADAPTATION_FILE, Adaptation, HeldOutPrediction, adapted_name
from brainslice.bundle.model_card import CARD_FILE, model_card
from brainslice.bundle.store import ModelBundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, GraphParity
from brainslice.config import Config
from brainslice.decision.mc_dropout import HEAD_FILE
from brainslice.decision.out_of_distribution import DETECTOR_FILE
from brainslice.evaluation.site_comparison import ComparisonRow
from brainslice.files import atomic_file, write_text
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.metrics.binary import BinaryScores
from brainslice.models.build import pooled_features
from brainslice.models.export import export_onnx, extract_head, parity, save_network
from brainslice.models.weights import weights_digest
from brainslice.paths import ProjectPaths
from brainslice.training.abstention import fit_detector
from brainslice.training.adaptation.data import AdaptationData
from brainslice.training.adaptation.finetune import run_model
from brainslice.training.adaptation.nested_cv import OutOfFold, Setting, TunedThreshold
from brainslice.training.bundle import KERAS_FILE
from brainslice.training.calibration import validation_of

_PARITY_SCANS = 64
_FILES = (GRAPH_FILE, KERAS_FILE, HEAD_FILE, DETECTOR_FILE, CARD_FILE, ADAPTATION_FILE)


@dataclass(frozen=True, slots=True)
class OutputNames:
    """Where an adaptation leaves what.

    Attributes:
        bundle: The adapted bundle.
        network: The adapted network as Keras reads it.
        workspace: What finished fine-tunings said, until all is done.
    """

    bundle: Path
    network: Path
    workspace: Path


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The network that was trained on all of the site's scans.

    Attributes:
        setting: How it was trained.
        tuned: Its temperature and threshold, from out-of-fold answers.
        held_out: What it says of the source's validation scans ``(v, k)``.
        before: Macro F1 of the base on those.
        after: Its own.
    """

    setting: Setting
    tuned: TunedThreshold
    held_out: Logits
    before: float
    after: float


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedModel:
    """What is known besides of an adaptation.

    Attributes:
        data: What it stands on; its network is the adapted one.
        validation: What was said of each scan out of fold.
        entries: All ways that were compared.
        curve: What fewer labelled scans came to, in plain types.
    """

    data: AdaptationData
    validation: OutOfFold
    entries: tuple[ComparisonRow, ...]
    curve: tuple[dict[str, Any], ...]


def names_for(places: ProjectPaths, site: str) -> OutputNames:
    """Name what comes of adapting to a site; ``external_`` before its name is left out."""
    short = site.removeprefix("external_") or site
    return OutputNames(
        bundle=places.models / adapted_name(site),
        network=places.models / f"finetuned_{short}.keras",
        workspace=places.models / f"unfinished_{short}",
    )


def write_adapted(
    moved: AdaptedModel, outcome: Outcome, names: OutputNames, config: Config, *, accepted: bool
) -> ModelBundle:
    """Export the adapted network, check the export, and write its bundle and its Keras file.

    What the base knew of prediction sets, strange scans and operating points is not taken over: it was found for other
    logits and other features. The gate is learnt anew, from source scans and the site's together; sets and points need
    labelled scans of the site that did not train the network, and there are none left.

    Raises:
        ParityError: The exported graph disagrees with the network; nothing is written.
        ResourceError: The disk is full; an older bundle stays as it was.
    """
    ground = moved.data
    names.bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adapted-", dir=names.bundle.parent) as folder:
        files = {name: Path(folder) / name for name in _FILES}
        save_network(ground.network, files[KERAS_FILE])
        extract_head(ground.network).save(files[HEAD_FILE])
        export_onnx(ground.network, files[GRAPH_FILE])
        engine = OnnxEngine(files[GRAPH_FILE])
        found = parity(ground.network, lambda batch: _pair(engine, batch), ground.inputs[:_PARITY_SCANS])
        found.require()
        checked = GraphParity(n=found.scans, logits=found.logits, class_maps=found.class_maps)
        draft = _draft(moved, outcome, config, checked, _gate(ground, config, files[DETECTOR_FILE]))
        adaptation = _adaptation(moved, outcome, config, accepted=accepted)
        write_text(files[ADAPTATION_FILE], adaptation.to_text())
        write_text(files[CARD_FILE], model_card(draft, adapted=card_lines(moved, outcome, config)))
        bundle = write_bundle(names.bundle, draft, files)
    with atomic_file(names.network) as temporary:
        shutil.copyfile(bundle.path(KERAS_FILE), temporary)
    return bundle


def card_lines(moved: AdaptedModel, outcome: Outcome, config: Config) -> tuple[str, ...]:
    """Say in a few lines what the adaptation was and what it came to."""
    site = moved.data.site
    adapted, base = (_spelled(moved.entries[place].scores) for place in (-1, 0))
    limit = config.adapt.max_forgetting
    before = f"{outcome.before:.3f} before, {outcome.after:.3f} after"
    return (
        f"{site.summary_lines()[0]}. All of them trained this network.",
        f"Out of fold (no scan trained, tuned or chose the model that is reported on it): {adapted}.",
        f"The base on the same scans: {base}.",
        f"Macro F1 on the source's validation scans: {before}, may fall by {limit:g}.",
        f"The threshold is the lowest with {config.adapt.specificity:.0%} specificity among the out-of-fold answers.",
    )


def _spelled(scores: BinaryScores) -> str:
    return f"AUC {scores.auc.text}, sensitivity {scores.sensitivity.text}, specificity {scores.specificity.text}"


def _gate(ground: AdaptationData, config: Config, path: Path) -> StoredOodDetector:
    """Learn what is usual at either site; scans of the source that trained nothing set the limit."""
    pooled = pooled_features(ground.network)
    learnt = [run_model(pooled, activations) for activations in (ground.replay, ground.views[0])]
    return fit_detector(np.concatenate(learnt), run_model(pooled, ground.held_out), config.decision, path)


def _draft(
    moved: AdaptedModel, outcome: Outcome, config: Config, checked: GraphParity, gate: StoredOodDetector
) -> BundleDraft:
    ground, info = moved.data, moved.data.bundle.info
    kept = ("labels", "recipe", "backbone", "head", "class_map_shape")
    told = {"weights_digest": weights_digest(ground.network.model)}
    return BundleDraft(
        **{name: getattr(info, name) for name in kept},
        name=f"{info.name}-adapted-{ground.site.name}"[:200],
        created=dt.datetime.now(dt.UTC),
        temperature=outcome.tuned.temperature.value,
        threshold=float(np.clip(outcome.tuned.threshold, 0.0, 1.0)),
        class_map_bias=tuple(ground.network.bias.tolist()),
        provenance=info.provenance.model_copy(update=told),
        validation=validation_of(
            outcome.held_out, ground.held_out_labels, outcome.tuned.temperature, config.calibration.bins
        ),
        parity=checked,
        ood_detector=gate,
    )


def _adaptation(moved: AdaptedModel, outcome: Outcome, config: Config, *, accepted: bool) -> Adaptation:
    site, found = moved.data.site, moved.validation
    chosen = {"rate": outcome.setting.rate, "look": outcome.setting.checkpoint + 1}
    return Adaptation(
        site=site.name,
        scans=len(site.scans),
        groups=len(np.unique(site.groups)),
        base=moved.data.bundle.info.digest,
        settings={**config.adapt.model_dump(mode="json"), "seed": config.seed, "chosen": chosen},
        source_macro_f1_before=outcome.before,
        source_macro_f1_after=outcome.after,
        forgetting_accepted=accepted and outcome.before - outcome.after > config.adapt.max_forgetting,
        comparison=[entry.to_json() for entry in moved.entries],
        learning_curve=list(moved.curve),
        out_of_fold=tuple(
            HeldOutPrediction(
                pixels=scan.pixel_hash, tumour_probability=float(np.clip(chance, 0, 1)), predicted_tumour=bool(called)
            )
            for scan, chance, called in zip(site.scans, found.probabilities, found.predictions, strict=True)
        ),
    )


def _pair(engine: OnnxEngine, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    output = engine.run(batch)
    return output.logits, output.class_maps
