"""Export an adapted network as a bundle, with a record of the adaptation."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.arrays import Logits
from brainslice.bundle import (
    ADAPTATION_FILE,
    CARD_FILE,
    GRAPH_FILE,
    Adaptation,
    BundleDraft,
    GraphParity,
    HeldOutPrediction,
    ModelBundle,
    StoredOodDetector,
    adapted_name,
    render_model_card,
    write_bundle,
)
from brainslice.config import Config
from brainslice.decision import DETECTOR_FILE, HEAD_FILE
from brainslice.evaluation import ComparisonRow
from brainslice.files import atomic_file, write_text
from brainslice.metrics import BinaryScores
from brainslice.models import pooled_features, weights_digest
from brainslice.paths import ProjectPaths
from brainslice.training.adaptation.data import AdaptationData
from brainslice.training.adaptation.finetune import run_model
from brainslice.training.adaptation.nested_cv import OutOfFold, Setting, TunedThreshold
from brainslice.training.bundle import KERAS_FILE, export_network
from brainslice.training.calibration import fit_detector, validation_of

_PARITY_SCANS = 64
_FILES = (GRAPH_FILE, KERAS_FILE, HEAD_FILE, DETECTOR_FILE, CARD_FILE, ADAPTATION_FILE)


@dataclass(frozen=True, slots=True)
class OutputNames:
    """Output paths of an adaptation.

    Attributes:
        bundle: The adapted bundle.
        network: The adapted network's Keras file.
        workspace: Finished fine-tunings, deleted at the end.
    """

    bundle: Path
    network: Path
    workspace: Path


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The network that was trained on all of the site's scans.

    Attributes:
        setting: Its hyperparameters.
        tuned: Its temperature and threshold, from out-of-fold predictions.
        held_out: Its logits of the source's validation scans ``(v, k)``.
        before: Macro F1 of the base on those.
        after: Its own macro F1 on those.
    """

    setting: Setting
    tuned: TunedThreshold
    held_out: Logits
    before: float
    after: float


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedModel:
    """An adapted network and its evaluation.

    Attributes:
        data: Its data; ``data.network`` is the adapted one.
        validation: Out-of-fold predictions.
        entries: Metrics of all methods that were compared.
        curve: Learning curve over the number of labelled scans, as JSON types.
    """

    data: AdaptationData
    validation: OutOfFold
    entries: tuple[ComparisonRow, ...]
    curve: tuple[dict[str, Any], ...]


def names_for(paths: ProjectPaths, site: str) -> OutputNames:
    """Return the output paths for a site; the prefix ``external_`` of its name is dropped."""
    short = site.removeprefix("external_") or site
    return OutputNames(
        bundle=paths.models / adapted_name(site),
        network=paths.models / f"finetuned_{short}.keras",
        workspace=paths.models / f"unfinished_{short}",
    )


def write_adapted(
    adapted: AdaptedModel, outcome: Outcome, names: OutputNames, config: Config, *, accepted: bool
) -> ModelBundle:
    """Export the adapted network, check the export, and write its bundle and its Keras file.

    The base's prediction sets and operating points are dropped: they need labelled scans of the site that did not train
    the network, and there are none. The detector of out-of-distribution scans is fitted anew, on scans of both sites.

    Raises:
        ParityError: The exported graph disagrees with the network; nothing is written.
        ResourceError: The disk is full; an older bundle is kept.
    """
    data = adapted.data
    names.bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adapted.tmp-", dir=names.bundle.parent) as folder:
        files = {name: Path(folder) / name for name in _FILES}
        _, graph_parity = export_network(data.network, files, data.inputs[:_PARITY_SCANS])
        draft = _draft(adapted, outcome, config, graph_parity, _fit_detector(data, config, files[DETECTOR_FILE]))
        adaptation = _adaptation(adapted, outcome, config, accepted=accepted)
        write_text(files[ADAPTATION_FILE], adaptation.to_text())
        write_text(files[CARD_FILE], render_model_card(draft, adapted=card_lines(adapted, outcome, config)))
        bundle = write_bundle(names.bundle, draft, files)
    with atomic_file(names.network) as temporary:
        shutil.copyfile(bundle.path(KERAS_FILE), temporary)
    return bundle


def card_lines(adapted: AdaptedModel, outcome: Outcome, config: Config) -> tuple[str, ...]:
    """Describe the adaptation and its results for the model card."""
    site = adapted.data.site
    after, base = (_rates(adapted.entries[index].scores) for index in (-1, 0))
    limit = config.adapt.max_forgetting
    source = f"{outcome.before:.3f} before, {outcome.after:.3f} after"
    return (
        f"{site.summary_lines()[0]}. All of them trained this network.",
        f"Out of fold (no scan trained, tuned or selected the model that predicts it): {after}.",
        f"The base on the same scans: {base}.",
        f"Macro F1 on the source's validation scans: {source}, may fall by {limit:g}.",
        f"The threshold is the lowest with {config.adapt.specificity:.0%} specificity among the out-of-fold answers.",
    )


def _rates(scores: BinaryScores) -> str:
    return f"AUC {scores.auc.text}, sensitivity {scores.sensitivity.text}, specificity {scores.specificity.text}"


def _fit_detector(data: AdaptationData, config: Config, path: Path) -> StoredOodDetector:
    """Fit the detector on scans of both sites; validation scans of the source set its limit."""
    pooled = pooled_features(data.network)
    training = [run_model(pooled, activations) for activations in (data.replay, data.views[0])]
    return fit_detector(np.concatenate(training), run_model(pooled, data.held_out), config.decision, path)


def _draft(
    adapted: AdaptedModel, outcome: Outcome, config: Config, graph_parity: GraphParity, detector: StoredOodDetector
) -> BundleDraft:
    data, info = adapted.data, adapted.data.bundle.info
    kept = ("labels", "recipe", "backbone", "head", "contralateral", "class_map_shape")
    weights = weights_digest(data.network.model)
    return BundleDraft(
        **{name: getattr(info, name) for name in kept},
        name=f"{info.name}-adapted-{data.site.name}"[:200],
        created=dt.datetime.now(dt.UTC),
        temperature=outcome.tuned.temperature.value,
        threshold=float(np.clip(outcome.tuned.threshold, 0.0, 1.0)),
        class_map_bias=tuple(data.network.bias.tolist()),
        provenance=info.provenance.model_copy(update={"weights_digest": weights}),
        labels_digest=info.labels.digest_with(weights),
        validation=validation_of(
            outcome.held_out, data.held_out_labels, outcome.tuned.temperature, config.calibration.bins
        ),
        parity=graph_parity,
        ood_detector=detector,
    )


def _adaptation(adapted: AdaptedModel, outcome: Outcome, config: Config, *, accepted: bool) -> Adaptation:
    site, found = adapted.data.site, adapted.validation
    chosen = {"rate": outcome.setting.rate, "look": outcome.setting.checkpoint + 1}
    return Adaptation(
        site=site.name,
        scans=len(site.scans),
        groups=len(np.unique(site.groups)),
        base=adapted.data.bundle.info.digest,
        settings={**config.adapt.model_dump(mode="json"), "seed": config.seed, "chosen": chosen},
        source_macro_f1_before=outcome.before,
        source_macro_f1_after=outcome.after,
        forgetting_accepted=accepted and outcome.before - outcome.after > config.adapt.max_forgetting,
        comparison=[entry.to_json() for entry in adapted.entries],
        learning_curve=list(adapted.curve),
        out_of_fold=tuple(
            HeldOutPrediction(
                pixels=scan.pixel_hash,
                tumour_probability=float(np.clip(probability, 0, 1)),
                predicted_tumour=bool(predicted),
            )
            for scan, probability, predicted in zip(site.scans, found.probabilities, found.predictions, strict=True)
        ),
    )
