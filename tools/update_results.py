"""Write a project's reports into results/*.json, and all results into the documents of both languages.

Usage: python tools/update_results.py [PROJECT]

PROJECT is a project after `prepare`, `train`, `evaluate --slices gbm_dev --slices lgg_dev` and `validate --data SITE`,
or after `prepare` and `robustness`; results/shipped.json and results/robustness.json are made of what it has.
Without it the results files go into the documents as they are. Read the sentences around the figures: they stay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from brainslice.files import write_json
from brainslice.report import fill_documents

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (
    "brainslice prepare archive.zip",
    "brainslice train",
    "brainslice evaluate --slices gbm_dev --slices lgg_dev",
    "brainslice prepare navoneel.zip --external",
    "brainslice validate --data data/external_navoneel",
)
SCORES = ("accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "sensitivity", "specificity", "ece")
TWINS = {
    "twin_higher": "lesion_twin_scores_higher",
    "twin_auc": "twin_auc",
    "twin_specificity": "healthy_twin_specificity",
    "sham": "sham_changes_answer",
}
SLICES = {
    "within": "auc_within_patients",
    "at85": "specificity_at_sensitivity_85",
    "specificity": "specificity",
    "sensitivity": "sensitivity",
}


def main(project: Path | None = None) -> None:
    """Update the results file and the documents, and name what changed."""
    if project is not None and (project / "reports/report.json").is_file():
        results = {"title": "The model that ships", "command": COMMAND, **read_project(project)}
        write_json(ROOT / "results" / "shipped.json", results, "results")
    if project is not None and (project / "reports/robustness.json").is_file():
        results = {"title": "The model that ships, on scans made worse", **read_sweep(project)}
        write_json(ROOT / "results" / "robustness.json", results, "results")
    for path in fill_documents(ROOT):
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def read_project(project: Path) -> dict[str, Any]:
    """Take the figures out of a project's reports."""
    report = json.loads((project / "reports/report.json").read_text(encoding="utf-8"))
    evaluation = report["evaluation"]
    tests = {test["name"]: test for test in evaluation["source_controlled"]}
    twins, gbm, lgg = tests["mirror twins"], tests["gbm_dev"], tests["lgg_dev"]
    outlines = report["explanation"]["on_tumours"]
    figures = {name: figure(evaluation["scores"][name]) for name in SCORES}
    figures |= {name: figure(twins["scores"][key]) for name, key in TWINS.items()}
    for name, test in (("gbm", gbm), ("lgg", lgg)):
        figures |= {f"{name}_{short}": figure(test["scores"][key]) for short, key in SLICES.items()}
    figures |= {
        "n": evaluation["n"],
        "groups": evaluation["groups"],
        "twin_pairs": twins["counts"]["pairs"],
        "twin_patients": twins["scores"]["twin_auc"]["groups"],
        "lgg_misses": lgg["counts"]["confident_misses"],
        "lgg_large": lgg["counts"]["large_tumours"],
        "lgg_found": lgg["scores"]["sensitivity"]["value"],
        "lgg_false_alarms": 1 - lgg["scores"]["specificity"]["value"],
        "energy": figure({"value": outlines["share_on_mask"], "interval": outlines["interval"]}),
        "baseline_accuracy": figure(evaluation["baseline"]["scores"]["accuracy"]),
        "referred": figure(evaluation["abstention"]["referred"]),
    }
    site = json.loads((project / "reports/external/navoneel.json").read_text(encoding="utf-8"))
    as_it_is, at_source_specificity = site["entries"][:2]
    figures |= {
        "navoneel_n": site["n"],
        "navoneel_tumours": site["tumours"],
        "navoneel_auc": figure(as_it_is["auc"]),
        "navoneel_sensitivity": figure(at_source_specificity["sensitivity"]),
        "navoneel_specificity": figure(at_source_specificity["specificity"]),
    }
    made = {name: report["timestamps"][name] for name in ("bundle_digest", "report_written")}
    return {"made": made, "figures": dict(sorted(figures.items()))}


def read_sweep(project: Path) -> dict[str, Any]:
    """Take the figures out of a project's robustness sweep."""
    sweep = json.loads((project / "reports/robustness.json").read_text(encoding="utf-8"))
    figures = {name: sweep[name] for name in ("n", "groups", "drawn_from", "seed")}
    steps = {("plain", 0): sweep["plain"]}
    for name, kind in sweep["corruptions"].items():
        steps |= {(name.replace(" ", "_").lower(), step["severity"]): step for step in kind["severities"]}
    for (name, severity), step in steps.items():
        scores = {f"{name}_{severity}_{score}": figure(value) for score, value in step["scores"].items()}
        figures |= scores if step["amount"] is None else scores | {f"{name}_{severity}_amount": step["amount"]}
    command = ["brainslice prepare archive.zip", f"brainslice robustness --sample {sweep['n']}"]
    return {"command": command, "made": {"bundle_digest": sweep["bundle"]["digest"]}, "figures": figures}


def figure(score: dict[str, Any]) -> dict[str, float] | float:
    """Keep a score's value and its interval, if it has one."""
    value, interval = score["value"], score["interval"]
    return {"value": value, "low": interval["low"], "high": interval["high"]} if interval else value


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
