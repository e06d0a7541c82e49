"""The shortcut floor: what a forest reaches that sees grey levels only, and no shape at all.

A classifier of tumours that is no better than this has learned scanners and file formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import RandomForestClassifier

from brainslice.arrays import Labels, Probabilities
from brainslice.errors import UsageError

Statistics: TypeAlias = Float[np.ndarray, "n features"]
"""Global grey-level statistics of each scan, as the preparing room computes them."""

TREES = 300
"""How many trees vote."""


@dataclass(frozen=True, slots=True, eq=False)
class ForestBaseline:
    """A fitted forest.

    Attributes:
        forest: The trees.
        classes: How many classes there are, seen in training or not.
    """

    forest: RandomForestClassifier
    classes: int

    def probabilities(self, statistics: Statistics) -> Probabilities:
        """Let the trees vote.

        Args:
            statistics: ``(n, features)``, the features it was fitted on.

        Returns:
            Shares of the vote ``(n, k)``; 0 for a class that training never showed.
        """
        votes = np.zeros((len(statistics), self.classes))
        votes[:, self.forest.classes_] = self.forest.predict_proba(statistics)
        return votes


def fit_baseline(statistics: Statistics, labels: Labels, classes: int, seed: int) -> ForestBaseline:
    """Fit the forest on the scans that the model is trained on; the same seed gives the same votes.

    Args:
        statistics: Grey-level statistics ``(n, features)``, finite.
        labels: True classes ``(n,)``, each in ``[0, classes)``.
        classes: How many classes there are.
        seed: Of the forest.

    Raises:
        UsageError: There is no scan, a class lies outside the range, or a statistic is not finite.

    Reference:
        Breiman, Random Forests, Machine Learning 2001.
    """
    if len(labels) == 0 or not 0 <= labels.min() <= labels.max() < classes:
        msg = f"the floor needs scans labelled 0 to {classes - 1}, got {sorted(set(labels.tolist()))}"
        raise UsageError(msg)
    if not np.isfinite(statistics).all():
        msg = "grey-level statistics must be finite numbers, got NaN or infinity"
        raise UsageError(msg)
    forest = RandomForestClassifier(n_estimators=TREES, random_state=seed, n_jobs=-1)
    forest.fit(statistics, labels)
    # Threads would add up the votes in whatever order they finish, and rounding with them.
    forest.set_params(n_jobs=1)
    return ForestBaseline(forest, classes)
