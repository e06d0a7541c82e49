"""Out-of-distribution detection by the residual of features outside the principal components of training scans."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from brainslice.array_types import Float, Float32, Float64
from brainslice.arrays import Features, Scores, check_npz
from brainslice.errors import BundleError, CalibrationError
from brainslice.files import atomic_file

DETECTOR_FILE: Final = "outliers.npz"
"""The file of the detector's arrays in a bundle."""

_PARTS: Final = ("centre", "directions")
_MAX_COMPONENTS: Final = 128
# Keeps the file of half-precision numbers below 3 MB, also for the concatenated features of an ensemble.
_MAX_NUMBERS: Final = 1_400_000
# With fewer scans, or features, per component the residual would be noise.
_MIN_PER_COMPONENT: Final = 4
_MIN_LIMIT: Final = 1e-6
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class OutOfDistributionDetector:
    """Principal components of training features, and a limit of the residual.

    Attributes:
        centre: The mean of the training scans' features, each scaled to length 1 ``(f,)``.
        components: The principal components ``(f, d)``, orthonormal, in falling order of variance.
        limit: The squared residual above which a scan is out of distribution; above 0.
    """

    centre: Float32[np.ndarray, " f"]
    components: Float32[np.ndarray, "f d"]
    limit: float

    def __post_init__(self) -> None:
        finite = np.isfinite(self.centre).all() and np.isfinite(self.components).all()
        if len(self.centre) != len(self.components) or not finite:
            got = f"centre {self.centre.shape} and components {self.components.shape}"
            msg = f"a detector must be finite, its centre (f,) and its components (f, d), got {got}"
            raise CalibrationError(msg)
        if not (math.isfinite(self.limit) and self.limit > 0):
            msg = f"a detector's limit must be a finite number above 0, got {self.limit!r}"
            raise CalibrationError(msg)

    def ood_score(self, features: Features) -> Scores:
        """Compute the squared residual of features ``(n, f)`` in units of the limit ``(n,)``.

        Up to 1 is in distribution.

        Raises:
            BundleError: The number of features differs from that fitted on.
        """
        if features.shape[1] != len(self.centre):
            msg = f"the detector needs {len(self.centre)} features, got {features.shape[1]}; train a new bundle"
            raise BundleError(msg)
        return np.asarray(_residuals(features, self.centre, self.components) / self.limit)

    def save(self, path: Path) -> None:
        """Write the arrays in half precision, whole or not at all; the bundle stores the limit."""
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, centre=self.centre.astype(np.float16), directions=self.components.astype(np.float16))

    @classmethod
    def read(cls, path: Path, limit: float) -> OutOfDistributionDetector:
        """Read the arrays that ``save`` wrote.

        Raises:
            BundleError: The file is absent, damaged, or holds something else.
        """
        try:
            check_npz(path)
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                centre, directions = (arrays[name].astype(np.float32) for name in _PARTS)
            return cls(centre, directions, limit)
        except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, CalibrationError) as error:
            msg = f"{path}: must hold a detector's {' and '.join(_PARTS)} ({error}); copy the bundle again"
            raise BundleError(msg) from error


def fit_ood_detector(
    training: Features, held_out: Float[np.ndarray, "m f"], refused: float
) -> OutOfDistributionDetector:
    """Fit principal components on training features, and the limit on held-out features, all scaled to length 1.

    Args:
        training: Features of the training scans ``(n, f)``.
        held_out: Features of held-out scans ``(m, f)``.
        refused: The share of held-out scans above the limit, from 0 to below 1.

    Raises:
        CalibrationError: There are no scans or no features, or the share is not from 0 to below 1.

    Reference:
        Guan et al., Revisit PCA-Based Technique for Out-of-Distribution Detection, ICCV 2023; Wang et al., ViM:
        Out-of-Distribution with Virtual-Logit Matching, CVPR 2022, for the residual.
    """
    if not 0 <= refused < 1:
        msg = f"the share of scans to refuse must be from 0 to below 1, got {refused!r}"
        raise CalibrationError(msg)
    if min(training.size, held_out.size) == 0:
        msg = "a detector needs features of training and of held-out scans, got none; export the network again"
        raise CalibrationError(msg)
    # In the precision of the file, so that the limit matches predictions.
    centre = _half_precision(_normalised(training).mean(axis=0))
    components = _half_precision(_principal_components(_normalised(training) - centre))
    residuals = _residuals(held_out, centre, components)
    limit = float(np.quantile(residuals, 1.0 - refused, method="higher"))
    # The limit's own scan must not lie above it by a rounding.
    return OutOfDistributionDetector(centre, components, max(limit * (1 + _MIN_LIMIT), _MIN_LIMIT))


def _principal_components(deviations: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, "f d"]:
    """Compute the components from the smaller of covariance and Gram matrix."""
    scans, features = deviations.shape
    count = min(_MAX_COMPONENTS, _MAX_NUMBERS // features, features // _MIN_PER_COMPONENT, scans // _MIN_PER_COMPONENT)
    if features <= scans:
        _, vectors = np.linalg.eigh(deviations.T @ deviations)
        return np.asarray(vectors[:, ::-1][:, :count])
    _, weights = np.linalg.eigh(deviations @ deviations.T)
    projected = deviations.T @ weights[:, ::-1][:, :count]
    return np.asarray(projected / np.maximum(np.linalg.norm(projected, axis=0), _TINY))


def _residuals(features: Features, centre: Float32[np.ndarray, " f"], components: Float32[np.ndarray, "f d"]) -> Scores:
    deviations = (_normalised(features) - centre).astype(np.float32)
    # Without BLAS, whose threads wait in a loop after each product and take the cores from network and decoding.
    # Two steps instead of a difference of squares: half-precision components are not exactly orthogonal.
    parts = np.einsum("nf,fd->nd", deviations, components)
    residual = deviations - np.einsum("nd,fd->nf", parts, components)
    return np.asarray((residual.astype(np.float64) ** 2).sum(axis=1))


def _normalised(features: Features) -> Float64[np.ndarray, "n f"]:
    wide = features.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _TINY))


def _half_precision(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float16).astype(np.float32)
