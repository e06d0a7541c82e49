"""Monte Carlo dropout on the features of a linear head, without running the network again.

Spatial dropout removes whole feature channels in front of a dense layer whose outputs are averaged over positions.
Mask, dense layer and average commute, so the logits of a draw are the masked feature means times the head's weights:
a hundred draws cost one pass through the network and one matrix product.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float, Float32
from brainslice.arrays import Logits, MemberLogits, check_npz
from brainslice.errors import BundleError, UsageError
from brainslice.files import atomic_file

HEAD_FILE: Final = "head.npz"
"""The file of the head's arrays in a bundle."""

HeadInput: TypeAlias = Float[np.ndarray, "n f"] | Float[np.ndarray, "n h w f"]

_PARTS: Final = ("kernel", "bias", "rate")
_OPTIONAL: Final = ("by_position", "contralateral", "healthy")


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """The weights of the last layer, and the dropout rates of its features.

    Attributes:
        kernel: Weights ``(f, k)``.
        bias: Biases ``(k,)``.
        rate: The dropout rate of each feature ``(f,)``, from 0 to below 1.
        by_position: Whether the head is applied at every position and pools by log-mean-exp, as the pyramid head does.
            Features are then ``(n, h, w, f)`` instead of spatial means ``(n, f)``.
        contralateral: The share of the evidence for a tumour at the mirrored position that is subtracted; only with
            ``by_position``.
        healthy: The index of the healthy class, whose maps are 0; needed with ``contralateral``.
    """

    kernel: Float32[np.ndarray, "f k"]
    bias: Float32[np.ndarray, " k"]
    rate: Float32[np.ndarray, " f"]
    by_position: bool = False
    contralateral: float = 0.0
    healthy: int = 0

    def __post_init__(self) -> None:
        (features, classes), finite = self.kernel.shape, all(np.isfinite(part).all() for part in self._arrays())
        if self.bias.shape != (classes,) or self.rate.shape != (features,) or not finite:
            got = f"kernel {self.kernel.shape}, bias {self.bias.shape} and rate {self.rate.shape}"
            msg = f"a head must be finite, its kernel (f, k), its bias (k,) and its rate (f,), got {got}"
            raise UsageError(msg)
        if not (0 <= self.contralateral < 1 and 0 <= self.healthy < classes):
            got = f"{self.contralateral!r} and {self.healthy!r}"
            msg = f"contralateral must be in [0, 1) and healthy one of the {classes} classes, got {got}"
            raise UsageError(msg)
        if not ((self.rate >= 0) & (self.rate < 1)).all():
            msg = f"dropout rates must be in [0, 1), got {self.rate.min():g} to {self.rate.max():g}"
            raise UsageError(msg)

    def logits(self, features: HeadInput) -> Logits:
        """Compute the logits ``(n, k)`` without dropout, from features ``(n, f)``, or ``(n, h, w, f)`` by position."""
        logits: Logits = features @ self.kernel + self.bias
        return self._pool(logits) if self.by_position else logits

    def draw(self, features: HeadInput, draws: int = 100, seed: int = 0) -> MemberLogits:
        """Compute logits with dropout.

        All scans share the same masks, so the draws of a scan depend on the seed alone.

        Args:
            features: Spatial means ``(n, f)``, or all positions ``(n, h, w, f)`` if ``by_position``.
            draws: The number of masks.
            seed: Seed of the masks.

        Returns:
            Logits ``(n, draws, k)``, distributed as those of the Keras network with only dropout in training mode.

        Raises:
            UsageError: There is no draw, or the shape of the features does not match.

        Reference:
            Gal and Ghahramani, Dropout as a Bayesian Approximation, ICML 2016; Tompson et al., Efficient Object
            Localization Using Convolutional Networks, CVPR 2015, for leaving out whole channels.
        """
        count, classes = self.kernel.shape
        if draws < 1 or features.shape[-1] != count or features.ndim != (4 if self.by_position else 2):
            expected = f"(n, h, w, {count})" if self.by_position else f"(n, {count})"
            msg = f"dropout needs at least 1 draw and features {expected}, got {draws} and {features.shape}"
            raise UsageError(msg)
        kept = np.random.default_rng(seed).random((draws, count)) >= self.rate
        # Inverted dropout: the expectation over draws is the logits without dropout.
        masked = (kept / (1.0 - self.rate))[..., np.newaxis] * self.kernel
        flat = masked.transpose(1, 0, 2).reshape(count, draws * classes).astype(np.float32)
        # One product of matrices; numpy would multiply a stack row by row.
        rows = features.reshape(-1, count).astype(np.float32, copy=False)
        drawn = (rows @ flat).reshape(*features.shape[:-1], draws, classes) + self.bias
        return np.asarray(self._pool(drawn) if self.by_position else drawn)

    def save(self, path: Path) -> None:
        """Write the arrays, whole or not at all."""
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path) -> LinearHead:
        """Read the arrays that ``save`` wrote.

        Raises:
            BundleError: The file is absent, damaged, or holds something else.
        """
        try:
            check_npz(path)
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                kernel, bias, rate = (arrays[name] for name in _PARTS)
                optional = {name: arrays[name].item() for name in _OPTIONAL if name in arrays}
            return cls(kernel, bias, rate, **optional)
        except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, UsageError) as error:
            msg = f"{path}: must hold a head's {', '.join(_PARTS)} ({error}); copy the bundle again or train a new one"
            raise BundleError(msg) from error

    def _pool(self, maps: Float[np.ndarray, "n h w ... k"]) -> Float[np.ndarray, "n ... k"]:
        if self.contralateral:
            tumours = np.arange(maps.shape[-1]) != self.healthy
            evidence = np.logaddexp.reduce(maps[..., tumours], axis=-1, keepdims=True)[:, :, ::-1]
            maps = maps - np.float32(self.contralateral) * tumours.astype(np.float32) * evidence
        return _log_mean_exp(maps)

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return (self.kernel, self.bias, self.rate)


def _log_mean_exp(maps: Float[np.ndarray, "n h w ..."]) -> Float[np.ndarray, "n ..."]:
    highest = maps.max(axis=(1, 2), keepdims=True)
    means = np.log(np.exp(maps - highest).mean(axis=(1, 2), keepdims=True)) + highest
    return np.asarray(means[:, 0, 0])
