"""The verdict on a model in five sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = Mapping[str, Any]
Text: TypeAlias = Callable[..., str]

_GOOD_AUC: Final = 0.75
"""The lower end of an AUC from which the source-controlled test is called passed."""

_CHANCE_AUC: Final = 0.5
_SIGNIFICANT: Final = 0.05
_AUCS: Final = ("twin_auc", "auc_within_patients", "auc")


def verdict(report: JsonObject, text: Text) -> list[str]:
    """Write the five sentences.

    Args:
        report: The contents of ``report.json``.
        text: Formats a sentence of the words by its key and values.
    """
    evaluation, model = report["evaluation"], report["model"]
    kept = {"dataset": evaluation["dataset"], "protocol": evaluation["protocol"]}
    return [
        _controlled(evaluation, text),
        text("tested", name=model["name"], n=evaluation["n"], groups=evaluation["groups"], **kept)
        + text(
            "tested_scores", accuracy=evaluation["scores"]["accuracy"], tumour_auc=evaluation["scores"]["tumour_auc"]
        ),
        _baseline(evaluation, text),
        _calibration(evaluation, text),
        _limits(report, text),
    ]


def weakest_source_controlled(evaluation: JsonObject) -> tuple[str, JsonObject] | None:
    """Find the test whose AUC with the source held fixed is smallest; None where there is none."""
    found = []
    for test in evaluation["source_controlled"]:
        score = next((test["scores"][name] for name in _AUCS if name in test["scores"]), None)
        if score is not None and score["value"] is not None:
            found.append((test["name"], score))
    return min(found, key=lambda each: float(each[1]["value"]), default=None)


def _controlled(evaluation: JsonObject, text: Text) -> str:
    weakest = weakest_source_controlled(evaluation)
    if weakest is None:
        return text("controlled_absent")
    name, score = weakest
    low = 0.0 if score["interval"] is None else score["interval"]["low"]
    grade = "good" if low >= _GOOD_AUC else "weak" if low > _CHANCE_AUC else "chance"
    return text(f"controlled_{grade}", test=name, auc=score, n=score["n"], groups=score["groups"])


def _baseline(evaluation: JsonObject, text: Text) -> str:
    baseline = evaluation["baseline"]
    if baseline is None:
        return text("baseline_absent")
    mcnemar, ours = baseline["mcnemar"], evaluation["scores"]
    p_value = mcnemar["p_value_by_group"]
    shown = p_value is not None and p_value < _SIGNIFICANT
    better = ours["accuracy"]["value"] > baseline["scores"]["accuracy"]["value"]
    key = "baseline_equal" if not shown else "baseline_beaten" if better else "baseline_better"
    areas = [scores.get("tumour_auc") for scores in (ours, baseline["scores"])]
    ranks = all(area is not None and area["value"] is not None for area in areas)
    behind = ranks and areas[0]["value"] <= areas[1]["value"]
    sentence = text(key, accuracy=baseline["scores"]["accuracy"], p_value=p_value)
    return sentence + (text("baseline_ranks", auc=areas[1]) if behind else "") + "."


def _calibration(evaluation: JsonObject, text: Text) -> str:
    ece = text("calibration", ece=evaluation["scores"]["ece"], bins=evaluation["bins"])
    abstention = evaluation["abstention"]
    if abstention is None:
        return ece + "."
    right = abstention["right_verdicts_of_the_rest"]
    if right["n"] == 0:
        return ece + text("abstention_all")
    return ece + text("abstention", referred=abstention["referred"], right=right, n=right["n"])


def _limits(report: JsonObject, text: Text) -> str:
    recalls = {name: row["recall"] for name, row in report["evaluation"]["per_class"].items()}
    known = {name: recall for name, recall in recalls.items() if recall["value"] is not None}
    weakest = min(known, key=lambda name: float(known[name]["value"]))
    sentence = text("weakest", name=weakest, recall=known[weakest])
    errors = (report["analysis"] or {}).get("errors")
    if errors is not None:
        sentence += text("mistakes", n=errors["n"], missed=errors.get("missed tumour", 0))
    return sentence + text("research")
