"""Many scans become a worklist: the most doubtful first, and marked as far down as a person has time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.decision.uncertainty import for_review, most_uncertain_first, uncertainty_scores
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.progress import Progress, silent
from brainslice.scan.listing import SkippedFiles
from brainslice.tables.columns import Row, row_of
from brainslice.tables.table import answers


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One scan on a worklist.

    Attributes:
        row: What was answered, in plain types.
        doubt: How doubtful that is, more than 1 where the scan is strange; None where nothing could be read.
        review: Whether a person shall look.
    """

    row: Row
    doubt: float | None
    review: bool

    @property
    def told(self) -> Row:
        """The row with what the worklist adds."""
        return {"review": self.review, "doubt": self.doubt, **self.row}


def worklist(
    predictor: Predictor,
    places: Iterable[Path],
    budget: float,
    progress: Progress = silent,
    skipped: SkippedFiles | None = None,
) -> tuple[WorklistRow, ...]:
    """Answer for every scan and sort the answers.

    Files that cannot be read come first and are always for a person; they are no part of the budget.

    Args:
        predictor: Who answers.
        places: Files and folders.
        budget: The share of answered scans that a person has time for.
        progress: Called with how many are done.
        skipped: Counts the files in folders that are no scans.

    Raises:
        UsageError: The budget is no share, or a folder holds no scans.
        BundleError: The model gives no usable answer.
    """
    for_review(np.zeros(1), budget)
    refused: list[Row] = []
    answered: list[tuple[Row, float]] = []
    for path, answer in answers(predictor, places, progress, skipped=skipped):
        # Of each answer only the row is kept: with their pictures, an archive of them would fill the memory.
        row = row_of(path, answer, predictor)
        if isinstance(answer, Refusal):
            refused.append(row)
        else:
            answered.append((row, _doubt(answer)))
    doubtful = np.array([doubt for _, doubt in answered])
    marked = for_review(doubtful, budget)
    first = [WorklistRow(row, None, review=True) for row in refused]
    order = most_uncertain_first(doubtful).tolist()
    rest = [WorklistRow(row, doubt, review=bool(marked[place])) for place in order for row, doubt in [answered[place]]]
    return (*first, *rest)


def _doubt(answer: Prediction) -> float:
    strangeness = None if answer.ood_score is None else np.array([answer.ood_score])
    return float(uncertainty_scores(np.array([list(answer.probabilities.values())]), strangeness)[0])
