"""The words that figures and documents share."""

from __future__ import annotations

from brainslice.metrics.evaluation import Evaluation

WARNING_STAMPS = {
    "leaky": "LEAKY: related scans on both sides of the split",
    "phantom": "PHANTOM: drawn heads, not patients",
}
"""What marks mean."""


def warning_stamp(mark: str) -> str:
    """Say what a mark means, in words that no reader may miss."""
    return WARNING_STAMPS.get(mark, mark.upper())


def figure_caption(evaluation: Evaluation, shown: str) -> str:
    """Say what is shown, then of which data, how they were split, how many, and what the intervals are."""
    terms = evaluation.settings
    warning = "".join(f" {warning_stamp(mark)}." for mark in terms.warnings)
    return (
        f"{shown} Data: {terms.dataset}, {terms.protocol} protocol, {terms.split} scans, n = {evaluation.n} of "
        f"{evaluation.groups} groups. Intervals at {terms.level:.0%}, by group.{warning}"
    )


def class_title(name: str) -> str:
    """Write a class as a reader would."""
    return name.replace("_", " ")
