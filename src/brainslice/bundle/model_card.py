"""The model card: what a model is for, where it comes from, and how far to believe it, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from brainslice.bundle.types import BundleDraft, Provenance

CARD_FILE: Final = "README.md"
"""The name under which model hubs look for a card."""

_WARNINGS: Final = {
    "phantom": "**Phantom.** The scans were drawn, not measured: this model knows nothing about patients.",
    "leaky": (
        "**Leaky.** Scans of the same patient, or copies of one scan, lie on both sides of the split: "
        "every score on its test set flatters this model."
    ),
}

_MEASURED: Final = frozenset({"Test scans", "Another site"})


def model_card(info: BundleDraft, evaluation: Sequence[str] | None = None, adapted: Sequence[str] = ()) -> str:
    """Write a bundle's model card.

    Args:
        info: What the bundle says about its model.
        evaluation: What was found on test scans, a line each; None where nothing was tested.
        adapted: What it was adapted to and what that came to, a line each.

    Returns:
        Markdown with YAML front matter, as model hubs read it.

    Reference:
        Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
    """
    parts = [
        _front_matter(info),
        f"# {_plain(info.name)}",
        "Classifies brain MRI slices. **Research use only**: not a medical device, not for diagnosis.",
        *(_WARNINGS[mark] for mark in info.warnings),
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
    """Write a card anew after its bundle was amended, and keep what was measured on scans.

    Args:
        card: The older card.
        before: What the bundle said then.
        info: What it says now.

    Returns:
        A card of ``info`` with the older one's findings, and a word where they were counted at another threshold.
    """
    fresh = _sections(model_card(info))
    kept = {title: text for title, text in _sections(card).items() if title in _MEASURED}
    if info.threshold != before.threshold:
        counted = f"- All this was counted at a threshold of {before.threshold:.3g}."
        said = (counted, *_tested(None))
        kept = {
            title: text if any(line in text for line in said) else f"{text}\n{counted}" for title, text in kept.items()
        }
    limits = fresh.pop("Limits")
    return "\n\n".join([*(fresh | kept).values(), limits]) + "\n"


def _sections(card: str) -> dict[str, str]:
    """Take a card apart at its headings; what stands before the first has no title."""
    parts = re.split(r"\n\n(?=## )", card.rstrip("\n"))
    return {part.split("\n", 1)[0].removeprefix("## ") if part.startswith("## ") else "": part for part in parts}


def _front_matter(info: BundleDraft) -> str:
    tags = ["mri", "brain-tumour", "research-use-only", "onnx", *info.warnings]
    fields = {
        "license": "mit",
        "library_name": "brainslice",
        "pipeline_tag": "image-classification",
        "model_name": info.name,
        "tags": tags,
    }
    # Every JSON value is a YAML value too, and quoting it as JSON leaves YAML nothing to misread.
    return "\n".join(
        ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()), "---"]
    )


def _use(info: BundleDraft) -> list[str]:
    names = ", ".join(_plain(name) for name in info.labels.names)
    return [
        f"Classes, in the order of the outputs: {names}.",
        f"A scan is called a tumour from 1 − p({_plain(info.labels.healthy)}) = {info.threshold:.3g} on."
        if info.labels.healthy
        else "None of the classes is healthy: there is no decision between tumour and healthy.",
        *(f"Operating point {_plain(point.summary)}. Chosen for: {point.promise}." for point in info.operating_points),
        *_cautions(info),
        "Run it with `brainslice predict SCAN --bundle FOLDER`; the preprocessing travels with the bundle.",
    ]


def _cautions(info: BundleDraft) -> list[str]:
    lines, sets, gate = [], info.conformal, info.ood_detector
    if sets is not None:
        counted = ", ".join(
            f"{_plain(name)} {count}" + (f" of {groups} groups" if groups != count else "")
            for name, count, groups in zip(info.labels.names, sets.counts, sets.groups, strict=True)
        )
        always = [name for name, bound in zip(info.labels.names, sets.quantiles, strict=True) if bound is None]
        lines.append(
            f"Prediction sets ({sets.method.upper()}) hold the true class of {sets.coverage:.0%} of scans like the "
            f"validation scans, class by class; fitted on: {counted}."
            + (f" In every set, as too few were seen: {', '.join(map(_plain, always))}." if always else "")
        )
    if gate is not None:
        lines.append(
            f"A gate refers scans unlike the training scans to a person; it found {gate.rejection_rate:.1%} of "
            f"{gate.validation_scans} validation scans strange."
        )
    return lines


def _model(info: BundleDraft) -> list[str]:
    rows, columns = info.class_map_shape
    return [
        f"Backbone: {_plain(info.backbone)}.",
        *_members(info),
        f"Temperature: {info.temperature:.4g}.",
        f"Explanation: one map of {rows} × {columns} positions a class, returned with the logits.",
        f"Preprocessing: `{json.dumps(info.recipe, sort_keys=True).replace('`', '')}`.",
        (
            f"The ONNX graph against the trained network, n = {info.parity.n}: logits differ by at most "
            f"{info.parity.logits:.1e}, class maps by {info.parity.class_maps:.1e}."
        ),
        *_halved(info),
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
        heard = f"{info.ensemble.members_per_scan} of {len(members)} networks, those not trained on it"
        lines.append(
            f"Its temperature and sets are approximations: each scan they rest on was judged by {heard}. "
            "One network errs more surely than their mean, so the ensemble is probably less sure than it could be."
        )
    return lines


def _halved(info: BundleDraft) -> list[str]:
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
            f"Training: {provenance.train_images} scans of {provenance.train_groups} groups; "
            f"validation: {provenance.validation_images} scans of {provenance.validation_groups} groups."
        ),
        f"Libraries: {versions or 'not recorded'}.",
    ]


def _validation(info: BundleDraft) -> list[str]:
    seen = info.validation
    return [
        (
            f"n = {seen.n}: accuracy {seen.accuracy:.3f}, negative log-likelihood {seen.nll:.3f}, "
            f"expected calibration error {seen.ece:.3f}."
        ),
        "These scans chose the temperature and the stopping time, so they flatter the model.",
    ]


def _tested(evaluation: Sequence[str] | None) -> list[str]:
    if not evaluation:
        return ["Nothing was tested: no figure about unseen scans can be given."]
    return [_plain(line) for line in evaluation]


def _limits(info: BundleDraft) -> list[str]:
    return [
        f"Every slice is called one of {len(info.labels.names)} classes, also one that shows none of them.",
        "Slices are judged one by one; scanners and patients unlike the training data may fare worse.",
        "The map shows where the network found evidence, not where a tumour ends.",
    ]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {line}" for line in lines)])


def _plain(text: str) -> str:
    """Keep Markdown from reading anything into a name, and keep it on its line."""
    return re.sub(r"([\\`*\[\]<>#|])", r"\\\1", " ".join(text.split()))
