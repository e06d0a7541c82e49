"""Model cards as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from brainslice.bundle.types import IMPORTED, BundleDraft, Provenance

CARD_FILE: Final = "README.md"
"""The file name of a card on model hubs."""

_WARNINGS: Final = {
    "phantom": "**Phantom.** The scans were drawn, not measured: this model was not trained on patients.",
    "leaky": (
        "**Leaky.** Scans of the same patient, or copies of one scan, lie on both sides of the split: "
        "every score on its test set is optimistic."
    ),
    "imported": (
        "**Imported.** This network was trained elsewhere, on scans that are not known: where the test scans are among "
        "them, every score is optimistic."
    ),
    "no_heat_map": "**No heat map.** The network's last layers have no positions: it shows no place of its evidence.",
}

_METRICS: Final = {"accuracy": "accuracy", "macro F1": "f1", "AUC of P(tumour)": "roc_auc", "ECE": "ece"}
"""Headline results of a card to the names that model hubs have for them."""

_MEASURED: Final = frozenset({"Test scans", "Another site"})


def render_model_card(info: BundleDraft, evaluation: Sequence[str] | None = None, adapted: Sequence[str] = ()) -> str:
    """Return a model card as Markdown with YAML front matter, as on model hubs.

    Args:
        info: The bundle's description.
        evaluation: Results on test scans, a line each, if any.
        adapted: Results of an adaptation, a line each, if any.

    Reference:
        Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
    """
    parts = [
        _head(info, evaluation or ()),
        _section("Use", _use(info)),
        _section("Model", _model(info)),
        _section("Training data", _training(info.provenance)),
        _section("Validation scans", _validation(info)),
        _section("Test scans", _tested(evaluation)),
        *([_section("Another site", [_plain(line) for line in adapted])] if adapted else []),
        _section("Limits", _limits(info)),
    ]
    return "\n\n".join(parts) + "\n"


def updated_card(card: str, before: BundleDraft, info: BundleDraft) -> str:
    """Update a card after a change of its bundle; older results are kept, with a note on another threshold."""
    fresh = _sections(render_model_card(info))
    kept = {title: text for title, text in _sections(card).items() if title in _MEASURED}
    if info.threshold != before.threshold:
        note = f"- All this was measured at a threshold of {before.threshold:.3g}."
        # The wording of this version and of earlier ones.
        complete = (note, note.replace("measured", "counted"), *_tested(None), "Nothing was tested")
        kept = {
            title: text if any(line in text for line in complete) else f"{text}\n{note}" for title, text in kept.items()
        }
    fresh[""] = _head(info, kept.get("Test scans", "").splitlines())
    limits = fresh.pop("Limits")
    return "\n\n".join([*(fresh | kept).values(), limits]) + "\n"


def _sections(card: str) -> dict[str, str]:
    """Split a card into sections by title; the text before the first heading has an empty title."""
    parts = re.split(r"\n\n(?=## )", card.rstrip("\n"))
    return {part.split("\n", 1)[0].removeprefix("## ") if part.startswith("## ") else "": part for part in parts}


def _head(info: BundleDraft, tested: Sequence[str]) -> str:
    """Write all above the first section; ``tested`` are the lines of the results on test scans."""
    return "\n\n".join(
        [
            _front_matter(info, tested),
            f"# {_plain(info.name)}",
            "Classifies brain MRI slices. **Research use only**: not a medical device, not for diagnosis.",
            *(_WARNINGS[name] for name in info.warnings),
        ]
    )


def _front_matter(info: BundleDraft, tested: Sequence[str]) -> str:
    dataset = info.provenance.dataset
    found = (re.match(r"(?:- )?(accuracy|macro F1|AUC of P\(tumour\)|ECE): ([\d.]+)", line) for line in tested)
    metrics = [{"type": _METRICS[each[1]], "name": each[1], "value": float(each[2])} for each in found if each]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": dataset, "name": f"{dataset}, {info.provenance.protocol} protocol", "split": "test"},
        "metrics": metrics,
    }
    fields = {
        "license": "mit",
        "library_name": "brainslice",
        "pipeline_tag": "image-classification",
        "model_name": info.name,
        "tags": ["mri", "brain-tumour", "research-use-only", "onnx", *info.warnings],
        "datasets": [dataset],
        "metrics": list(dict.fromkeys(_METRICS.values())),
        "model-index": [{"name": info.name, "results": [result] if metrics else []}],
    }
    # Every JSON value is a YAML value.
    return "\n".join(
        ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()), "---"]
    )


def _use(info: BundleDraft) -> list[str]:
    names = ", ".join(_plain(name) for name in info.labels.names)
    return [
        f"Classes, in the order of the outputs: {names}.",
        f"A scan is predicted as a tumour from 1 − p({_plain(info.labels.healthy)}) = {info.threshold:.3g} on."
        if info.labels.healthy
        else "No class is healthy: there is no decision between tumour and healthy.",
        *(f"Operating point {_plain(point.summary)}. Target: {point.promise}." for point in info.operating_points),
        *_referral_rules(info),
        "Run it with `brainslice predict SCAN --bundle FOLDER`; the bundle contains the preprocessing.",
    ]


def _referral_rules(info: BundleDraft) -> list[str]:
    lines, sets, detector = [], info.conformal, info.ood_detector
    if sets is not None:
        counts = ", ".join(
            f"{_plain(name)} {count}" + (f" of {groups} groups" if groups != count else "")
            for name, count, groups in zip(info.labels.names, sets.counts, sets.groups, strict=True)
        )
        unbounded = [name for name, bound in zip(info.labels.names, sets.quantiles, strict=True) if bound is None]
        lines.append(
            f"Prediction sets ({sets.method.upper()}) contain the true class of {sets.coverage:.0%} of scans like the "
            f"validation scans, class by class; fitted on: {counts}."
            + (f" In every set for lack of scans: {', '.join(map(_plain, unbounded))}." if unbounded else "")
        )
    if detector is not None:
        lines.append(
            f"Scans out of distribution are referred for review: {detector.rejection_rate:.1%} of "
            f"{detector.validation_scans} validation scans."
        )
    return lines


def _model(info: BundleDraft) -> list[str]:
    rows, columns = info.class_map_shape
    return [
        f"Backbone: {_plain(info.backbone)}.",
        *_members(info),
        f"Temperature: {info.temperature:.4g}.",
        *(
            [f"Explanation: one map of {rows} × {columns} positions for each class, returned with the logits."]
            if info.has_heat_maps
            else []
        ),
        *_added_to_graph(info),
        f"Preprocessing: `{json.dumps(info.recipe, sort_keys=True).replace('`', '')}`.",
        (
            f"The ONNX graph against the trained network, n = {info.parity.n}: logits differ by at most "
            f"{info.parity.logits:.1e}, class maps by {info.parity.class_maps:.1e}."
        ),
        *_half_precision(info),
    ]


def _added_to_graph(info: BundleDraft) -> list[str]:
    """Describe what the graph has beyond the trained network."""
    share = f"{info.contralateral:g} of the evidence for a tumour at the mirrored position"
    network = " for a second network, trained at that size" if info.second_network else ""
    sizes = f"the scan as preprocessed, and enlarged to {info.second_size} pixels{network}; outputs are means"
    return [
        *([f"Contralateral subtraction: {share}."] if info.contralateral else []),
        *([f"Sizes: {sizes}."] if info.second_size else []),
    ]


def _members(info: BundleDraft) -> list[str]:
    if info.ensemble is None:
        return []
    members = info.ensemble.members
    lines = [
        f"Ensemble of {len(members)} networks, whose logits and class maps are averaged: "
        + ", ".join(f"{_plain(member.backbone)} `{member.digest[:12]}`" for member in members)
        + "."
    ]
    if info.ensemble.out_of_fold:
        some = f"{info.ensemble.members_per_scan} of {len(members)} networks, those not trained on it"
        lines.append(
            f"Its temperature and sets are approximations, fitted on predictions of each scan by {some}. "
            "Single networks are more overconfident than their mean, so the ensemble is probably underconfident."
        )
    return lines


def _half_precision(info: BundleDraft) -> list[str]:
    if info.half_precision is None:
        return []
    half = info.half_precision
    return [
        (
            f"Weights are stored in 16 bits. Against those of 32 bits (bundle `{half.source[:12]}`), on n = {half.n} "
            f"validation scans: probabilities differ by at most {half.probabilities:.1e}, the most probable class is "
            f"the same for {half.same_class:.2%}."
        )
    ]


def _training(provenance: Provenance) -> list[str]:
    versions = ", ".join(f"{_plain(name)} {_plain(version)}" for name, version in provenance.versions.items())
    return [
        f"Data set: {_plain(provenance.dataset)} (manifest `{provenance.manifest_digest[:12]}`).",
        f"Protocol: {provenance.protocol}; recipe: {provenance.training_recipe}; seed: {provenance.seed}.",
        (
            "Training: elsewhere, on scans that are not known; "
            if provenance.training_recipe == IMPORTED
            else f"Training: {provenance.train_images} scans of {provenance.train_groups} groups; "
        )
        + f"validation: {provenance.validation_images} scans of {provenance.validation_groups} groups.",
        f"Libraries: {versions or 'not recorded'}.",
    ]


def _validation(info: BundleDraft) -> list[str]:
    results = info.validation
    return [
        (
            f"n = {results.n}: accuracy {results.accuracy:.3f}, negative log-likelihood {results.nll:.3f}, "
            f"expected calibration error {results.ece:.3f}."
        ),
        "These scans selected the temperature and the stopping time, so their results are optimistic.",
    ]


def _tested(evaluation: Sequence[str] | None) -> list[str]:
    if not evaluation:
        return ["Not tested: there are no results on unseen scans."]
    return [_plain(line) for line in evaluation]


def _limits(info: BundleDraft) -> list[str]:
    return [
        f"Every slice gets one of {len(info.labels.names)} classes, also one that shows none of them.",
        "Slices are predicted one by one; results may be worse for scanners and patients unlike the training data.",
        *(["The map shows which regions influenced the prediction, not the outline of a tumour."] * info.has_heat_maps),
    ]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {line}" for line in lines)])


def _plain(text: str) -> str:
    """Escape Markdown and join lines."""
    return re.sub(r"([\\`*\[\]<>#|])", r"\\\1", " ".join(text.split()))
