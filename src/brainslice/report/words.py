"""The words that figures and documents share."""

from __future__ import annotations

from brainslice.measure.evaluation import Evaluation

STAMPS = {
    "leaky": "LEAKY: related scans on both sides of the split",
    "phantom": "PHANTOM: drawn heads, not patients",
}
"""What marks mean."""


def stamp(mark: str) -> str:
    """Say what a mark means, in words that no reader may miss."""
    return STAMPS.get(mark, mark.upper())


def caption_of(evaluation: Evaluation, shown: str) -> str:
    """Say what is shown, then of which data, how they were split, how many, and what the intervals are."""
    terms = evaluation.terms
    warning = "".join(f" {stamp(mark)}." for mark in terms.marks)
    return (
        f"{shown} Data: {terms.dataset}, {terms.protocol} protocol, {terms.split} scans, n = {evaluation.n} of "
        f"{evaluation.groups} groups. Intervals at {terms.level:.0%}, by group.{warning}"
    )


def class_title(name: str) -> str:
    """Write a class as a reader would."""
    return name.replace("_", " ")
