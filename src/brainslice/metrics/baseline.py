"""The baseline: a random forest on global grey-level statistics, without any spatial information.

A tumour classifier that is no better than this has learned scanners and file formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from brainslice.array_types import Float
from brainslice.arrays import Labels, Probabilities
from brainslice.errors import UsageError

Statistics: TypeAlias = Float[np.ndarray, "n features"]
"""Global grey-level statistics of each scan, from ``dataset.cache.scan_statistics``."""

TREES = 300
"""The number of trees."""


@dataclass(frozen=True, slots=True, eq=False)
class ForestBaseline:
    """A fitted forest.

    Attributes:
        forest: The fitted classifier.
        classes: The number of classes, also those without training scans.
    """

    forest: RandomForestClassifier
    classes: int

    def probabilities(self, statistics: Statistics) -> Probabilities:
        """Predict probabilities ``(n, k)`` from features ``(n, features)``; 0 for a class without training scans."""
        probabilities = np.zeros((len(statistics), self.classes))
        probabilities[:, self.forest.classes_] = self.forest.predict_proba(statistics)
        return probabilities


def fit_baseline(statistics: Statistics, labels: Labels, classes: int, seed: int) -> ForestBaseline:
    """Fit the forest on the model's training scans.

    Raises:
        UsageError: There is no scan, a class lies outside the range, or a statistic is not finite.

    Reference:
        Breiman, Random Forests, Machine Learning 2001.
    """
    if len(labels) == 0 or not 0 <= labels.min() <= labels.max() < classes:
        msg = f"the baseline needs scans labelled 0 to {classes - 1}, got {sorted(set(labels.tolist()))}"
        raise UsageError(msg)
    if not np.isfinite(statistics).all():
        msg = "grey-level statistics must be finite numbers, got NaN or infinity"
        raise UsageError(msg)
    forest = RandomForestClassifier(n_estimators=TREES, random_state=seed, n_jobs=-1)
    forest.fit(statistics, labels)
    # With several threads the order of summation, and so rounding, would vary.
    forest.set_params(n_jobs=1)
    return ForestBaseline(forest, classes)
