"""Which scans are unlike those a model learnt from: their features point where no training scan's do."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Float64

from brainslice.arrays import Features, Scores
from brainslice.errors import BundleError, CalibrationError
from brainslice.files import atomic_file

DETECTOR_FILE: Final = "outliers.npz"
"""The gate's arrays in a bundle."""

_PARTS: Final = ("centre", "directions")
_MOST_DIRECTIONS: Final = 128
# A file of half-precision numbers below 3 MB, also for an ensemble whose features lie side by side.
_MOST_NUMBERS: Final = 1_400_000
# Fewer than these many scans, or features, a direction: what is left over would be noise.
_EACH_DIRECTION: Final = 4
_LEAST_LIMIT: Final = 1e-6
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class OutOfDistributionDetector:
    """The directions that training scans' features take, and how far off a scan may be.

    Attributes:
        centre: The mean of the training scans' features, each scaled to length 1 ``(f,)``.
        components: What they differ from it by, most of it first ``(f, d)``; orthogonal, of length 1.
        limit: The squared length off these directions above which a scan is strange; above 0.
    """

    centre: Float32[np.ndarray, " f"]
    components: Float32[np.ndarray, "f d"]
    limit: float

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together, and limits that let nothing or everything through."""
        if len(self.centre) != len(self.components) or not all(
            np.isfinite(part).all() for part in (self.centre, self.components)
        ):
            got = f"centre {self.centre.shape} and directions {self.components.shape}"
            msg = f"a gate must be finite, its centre (f,) and its directions (f, d), got {got}"
            raise CalibrationError(msg)
        if not (math.isfinite(self.limit) and self.limit > 0):
            msg = f"a gate's limit must be a finite number above 0, got {self.limit!r}"
            raise CalibrationError(msg)

    def ood_score(self, features: Features) -> Scores:
        """Measure how unlike the training scans each scan is.

        Args:
            features: What the head saw of each scan ``(n, f)``.

        Returns:
            The squared length of what the training scans' directions leave over, in units of the limit ``(n,)``:
            up to 1 is as usual, more is strange.

        Raises:
            BundleError: The features are others than those the gate was fitted on.
        """
        if features.shape[1] != len(self.centre):
            msg = f"the gate must be given {len(self.centre)} features, got {features.shape[1]}; train a new bundle"
            raise BundleError(msg)
        return np.asarray(_left_over(features, self.centre, self.components) / self.limit)

    def save(self, path: Path) -> None:
        """Write the arrays in half precision, whole or not at all; the limit is the bundle's to tell.

        Raises:
            ResourceError: The disk is full.
        """
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, centre=self.centre.astype(np.float16), directions=self.components.astype(np.float16))

    @classmethod
    def read(cls, path: Path, limit: float) -> OutOfDistributionDetector:
        """Read what ``save`` wrote.

        Raises:
            BundleError: The file is absent, damaged, or holds something else.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                centre, directions = (arrays[name].astype(np.float32) for name in _PARTS)
            return cls(centre, directions, limit)
        except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, CalibrationError) as error:
            msg = f"{path}: must hold a gate's {' and '.join(_PARTS)} ({error}); copy the bundle again"
            raise BundleError(msg) from error


def fit_ood_detector(
    training: Features, held_out: Float[np.ndarray, "m f"], refused: float
) -> OutOfDistributionDetector:
    """Learn which directions features take, and set the limit where held-out scans seldom exceed it.

    Every scan's features are scaled to length 1. The principal components of the training scans span what is usual;
    what a scan has outside of them, no training scan has.

    Args:
        training: What the head sees of the training scans ``(n, f)``.
        held_out: The same of scans that trained nothing ``(m, f)``.
        refused: The share of held-out scans that may exceed the limit, from 0 to below 1.

    Raises:
        CalibrationError: There are no scans or no features, or the share is none.

    Reference:
        Guan et al., Revisit PCA-Based Technique for Out-of-Distribution Detection, ICCV 2023; Wang et al., ViM:
        Out-of-Distribution with Virtual-Logit Matching, CVPR 2022, for the residual.
    """
    if not 0 <= refused < 1:
        msg = f"the share of scans to refuse must be from 0 to below 1, got {refused!r}"
        raise CalibrationError(msg)
    if min(training.size, held_out.size) == 0:
        msg = "a gate needs features of training and of held-out scans, got none; export the network again"
        raise CalibrationError(msg)
    # As the file will hold them, so that the limit fits what predictions compute.
    centre = _halved(_of_length_one(training).mean(axis=0))
    directions = _halved(_principal(_of_length_one(training) - centre))
    usual = _left_over(held_out, centre, directions)
    limit = float(np.quantile(usual, 1.0 - refused, method="higher"))
    # The limit's own scan must not lie above it by a rounding.
    return OutOfDistributionDetector(centre, directions, max(limit * (1 + _LEAST_LIMIT), _LEAST_LIMIT))


def _principal(deviations: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, "f d"]:
    """Find the directions of most variance, by the smaller of the two matrices that know them."""
    scans, features = deviations.shape
    count = min(_MOST_DIRECTIONS, _MOST_NUMBERS // features, features // _EACH_DIRECTION, scans // _EACH_DIRECTION)
    if features <= scans:
        _, vectors = np.linalg.eigh(deviations.T @ deviations)
        return np.asarray(vectors[:, ::-1][:, :count])
    _, weights = np.linalg.eigh(deviations @ deviations.T)
    spanned = deviations.T @ weights[:, ::-1][:, :count]
    return np.asarray(spanned / np.maximum(np.linalg.norm(spanned, axis=0), _TINY))


def _left_over(features: Features, centre: Float32[np.ndarray, " f"], directions: Float32[np.ndarray, "f d"]) -> Scores:
    deviations = _of_length_one(features) - centre
    # Two steps instead of a difference of squares: half-precision directions are orthogonal only nearly.
    rest = deviations - (deviations @ directions) @ directions.T.astype(np.float64)
    return np.asarray((rest**2).sum(axis=1))


def _of_length_one(features: Features) -> Float64[np.ndarray, "n f"]:
    wide = features.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _TINY))


def _halved(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float16).astype(np.float32)
