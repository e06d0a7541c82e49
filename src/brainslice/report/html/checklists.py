"""Answers to reporting checklists from the artefacts of a run.

Numbers and order of the items in ``checklists.json`` are those of the statements; the topics are our words. They were
compared item by item with public transcriptions: of TRIPOD+AI (27 items in 52 parts) with the published wording, of
CLAIM 2024 (44 items) with a summary. A submission needs the official forms.

Reference:
    Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update, Radiology: Artificial
    Intelligence 6 (2024) e240300; Collins et al., TRIPOD+AI statement, BMJ 385 (2024) e078378.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from brainslice.bundle import IMPORTED
from brainslice.report.html.artefacts import RunArtefacts

JsonObject: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one item.

    Attributes:
        item: The item's number in the checklist.
        topic: What it asks for, in our words.
        text: The answer, or what is missing.
        gap: Whether the run's files do not answer it.
    """

    item: str
    topic: str
    text: str
    gap: bool


def answers(
    items: Sequence[JsonObject], language: str, texts: Mapping[str, str], values: JsonObject, gap: str
) -> list[Answer]:
    """Answer the items of a checklist.

    Args:
        items: Each with ``item``, ``topic`` by language, and ``answer``, the key of a text, or none.
        language: Of topics and texts.
        texts: Answers with names of values in braces.
        values: What the run's files hold; an answer that needs another fact is a gap.
        gap: The text of a gap.
    """
    found = []
    for item in items:
        answer = _fill(texts[item["answer"]], values) if item["answer"] else None
        found.append(Answer(item["item"], item["topic"][language], answer or gap, gap=answer is None))
    return found


def _fill(text: str, values: JsonObject) -> str | None:
    try:
        return text.format_map(values)
    except KeyError:
        return None


def collect_values(run: RunArtefacts, format_score: Callable[[JsonObject], str]) -> dict[str, Any]:
    """Collect what checklist answers may name; a fact that the run's files do not hold is left out."""
    values: dict[str, Any] = {
        "external": ", ".join(each["site"] for each in run.external),
        "changes": ", ".join(each["dataset"] for each in run.robustness),
    }
    if run.report is not None:
        values |= _model_values(run.report["model"])
        values |= _evaluation_values(run.report, format_score)
    if run.training is not None:
        values["initial_weights"] = run.training["settings"]["model"]["weights"]
    return {name: value for name, value in values.items() if value not in {"", None}}


def _model_values(model: JsonObject) -> dict[str, Any]:
    origin = model["provenance"]
    names = ("dataset", "protocol", "seed", "training_recipe")
    counts = ["validation_images", "validation_groups"]
    if origin["training_recipe"] != IMPORTED:
        counts += ["train_images", "train_groups"]
    return {
        **{name: origin[name] for name in (*names, *counts)},
        "backbone": model["backbone"],
        "temperature": f"{model['temperature']:.3g}",
        "threshold": f"{model['threshold']:.3g}",
        "preprocessing": ", ".join(f"{name} {value}" for name, value in model["recipe"].items()),
        "versions": ", ".join(f"{name} {value}" for name, value in origin["versions"].items()),
        "manifest": origin["manifest_digest"][:12],
        "weights": origin["weights_digest"][:12],
    }


def _evaluation_values(report: JsonObject, format_score: Callable[[JsonObject], str]) -> dict[str, Any]:
    evaluation, cohort, analysis = report["evaluation"], report.get("cohort"), report["analysis"]
    abstention, baseline = evaluation["abstention"], evaluation["baseline"]
    return {
        "classes": ", ".join(evaluation["classes"]),
        "n": evaluation["n"],
        "groups": evaluation["groups"],
        "level": f"{evaluation['resampling']['level']:.0%}",
        "draws": evaluation["resampling"]["draws"],
        "openings": report["test_openings"],
        "accuracy": format_score(evaluation["scores"]["accuracy"]),
        "scans": cohort and cohort["n"],
        "crossing": cohort and cohort["crossing_test"],
        "groups_from": cohort and cohort["groups_from"],
        "mistakes": analysis and analysis["errors"]["n"],
        "subgroups": analysis and len(analysis["subgroups"]),
        "referred": abstention and format_score(abstention["referred"]),
        "baseline": baseline and format_score(baseline["scores"]["accuracy"]),
    }
