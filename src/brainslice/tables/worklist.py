"""Worklists: predictions in falling order of uncertainty, with a share marked for review."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.decision import for_review, most_uncertain_first, uncertainty_scores
from brainslice.inference import Prediction, Predictor, Refusal
from brainslice.progress import Progress, silent
from brainslice.scan import SkippedFiles
from brainslice.tables.case_names import CaseNames
from brainslice.tables.columns import Row, row_of
from brainslice.tables.table import predict_paths


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """A scan in a worklist.

    Attributes:
        row: Its prediction or refusal.
        uncertainty: Above 1 if out of distribution; None for a file that cannot be read.
        review: Whether it is marked for review.
    """

    row: Row
    uncertainty: float | None
    review: bool

    def to_json(self) -> Row:
        """Return the row with review mark and uncertainty."""
        return {"review": self.review, "doubt": self.uncertainty, **self.row}


def make_worklist(
    predictor: Predictor,
    paths: Iterable[Path],
    budget: float,
    progress: Progress = silent,
    skipped: SkippedFiles | None = None,
    names: CaseNames = CaseNames(),  # noqa: B008 - immutable
) -> tuple[WorklistRow, ...]:
    """Predict scans and sort them by uncertainty.

    Files that cannot be read come first; all are marked for review, beyond the budget.

    Args:
        predictor: The predictor.
        paths: Files and folders.
        budget: The share of predicted scans to mark for review, 0 to 1.
        progress: Called with step, done and total.
        skipped: Counts the files in folders that are no scans.
        names: How rows name scans.

    Raises:
        UsageError: The budget is not within 0 to 1, a folder holds no scans, or two scans have one pseudonym.
        BundleError: The output of the model is invalid.
    """
    for_review(np.zeros(1), budget)
    refused: list[Row] = []
    predicted: list[tuple[Row, float]] = []
    for path, answer in predict_paths(predictor, paths, progress, skipped=skipped, names=names):
        # Rows only: class maps and inputs of all scans would not fit into the memory.
        row = row_of(path, answer, predictor)
        if isinstance(answer, Refusal):
            refused.append(row)
        else:
            predicted.append((row, _uncertainty(answer)))
    scores = np.array([score for _, score in predicted])
    marked = for_review(scores, budget)
    first = (WorklistRow(row, None, review=True) for row in refused)
    order = most_uncertain_first(scores).tolist()
    rest = (WorklistRow(row, uncertainty, bool(marked[at])) for at in order for row, uncertainty in [predicted[at]])
    return (*first, *rest)


def _uncertainty(answer: Prediction) -> float:
    ood_score = None if answer.ood_score is None else np.array([answer.ood_score])
    return float(uncertainty_scores(np.array([list(answer.probabilities.values())]), ood_score)[0])
