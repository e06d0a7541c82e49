"""Slices made worse step by step, as scanners, file formats and handling do.

TorchIO and MONAI hold such changes of MRI, and both need PyTorch (gigabytes); batchgenerators needs scikit-image and
pandas and lacks bias field, motion and ringing. Here NumPy's Fourier transform and Pillow, which predicting installs
anyway, do the work, after the definitions of TorchIO's and MONAI's transforms. The amounts are our choice: severity 1
is just visible, severity 5 is a scan that a reader would ask to have repeated.

Reference:
    Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions and perturbations, ICLR
    2019, for severities; Pérez-García et al., TorchIO, Computer Methods and Programs in Biomedicine 208 (2021).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from PIL import Image

from brainslice.array_types import Float32
from brainslice.arrays import Pixels
from brainslice.errors import UsageError
from brainslice.preprocessing import Box, find_head
from brainslice.scan import Slice

VERSION: Final = 1
"""Incremented when the same amounts give different pixels."""

SEVERITIES: Final = 5

_ChangedPixels: TypeAlias = Float32[np.ndarray, "rows columns"]
_Change: TypeAlias = Callable[[Pixels, float, np.random.Generator], _ChangedPixels]
_ORDER: Final = 3
_MIN_DEVIATION: Final = 1e-6
_MOTION_START_RANGE: Final = (0.01, 0.08)
"""Range of the share of k-space between its centre and the first line of the moved head."""
_DEEPEST: Final = 255


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of change.

    Attributes:
        name: In reports.
        unit: What the amounts are.
        amounts: One for each severity, from 1.
        change: Applies an amount to grey values of 0 to 1.
    """

    name: str
    unit: str
    amounts: tuple[float, ...]
    change: _Change


def corrupt(scan: Slice, corruption: Corruption, severity: int, seed: int) -> Slice:
    """Change a slice; chance depends on seed, kind and slice only, so that severities differ by the amount alone.

    Args:
        scan: The slice as read from its file.
        corruption: The kind of change.
        severity: 0, which changes nothing, to 5.
        seed: The seed, 0 or more.

    Raises:
        UsageError: There is no such severity.
    """
    if not 0 <= severity <= SEVERITIES:
        msg = f"severity must be 0 to {SEVERITIES}, got {severity}"
        raise UsageError(msg)
    low, high = float(scan.pixels.min()), float(scan.pixels.max())
    if severity == 0 or not low < high:
        return scan
    kind = int.from_bytes(corruption.name.encode(), "big")
    rng = np.random.default_rng((seed, kind, int(scan.digest, 16)))
    grey = ((scan.pixels.astype(np.float64) - low) / (high - low)).astype(np.float32)
    changed = np.clip(corruption.change(grey, corruption.amounts[severity - 1], rng), 0.0, 1.0)
    return replace(scan, pixels=(low + changed.astype(np.float64) * (high - low)).astype(np.float32))


def _bias_field(grey: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Multiply by the exponential of a random cubic polynomial whose standard deviation is the amount."""
    down, across = np.meshgrid(*(np.linspace(-1, 1, size) for size in grey.shape), indexing="ij")
    powers = [(i, j) for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i) if i + j]
    field = sum(rng.normal() * down**i * across**j for i, j in powers)
    return _single(grey * np.exp(amount * field / max(float(np.std(field)), _MIN_DEVIATION)))


def _noise(grey: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Take the magnitude after adding noise of a standard deviation to real and imaginary part (Rician noise)."""
    real, imaginary = amount * rng.standard_normal((2, *grey.shape))
    return _single(np.hypot(grey + real, imaginary))


def _motion(grey: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Take the lines of k-space before and after the middle ones from a head shifted by a share of the longer side."""
    down, across = _frequencies(grey)
    order = np.fft.ifftshift(np.arange(len(grey))) / len(grey)
    before, after = 0.5 - rng.uniform(*_MOTION_START_RANGE), 0.5 + rng.uniform(*_MOTION_START_RANGE)
    phase = np.zeros(grey.shape)
    for moved, angle in zip((order < before, order > after), rng.uniform(0, 2 * math.pi, 2), strict=True):
        ramp = amount * max(grey.shape) * (down * math.sin(angle) + across * math.cos(angle))
        phase += ramp * moved[:, np.newaxis]
    return _from_spectrum(np.fft.fft2(grey) * np.exp(-2j * math.pi * phase))


def _ringing(grey: Pixels, amount: float, _: np.random.Generator) -> Pixels:
    """Keep the lowest spatial frequencies only, as many along the longer side as the amount."""
    down, across = _frequencies(grey)
    kept = np.maximum(np.abs(down), np.abs(across)) <= amount / max(grey.shape) / 2
    return _from_spectrum(np.fft.fft2(grey) * kept)


def _blur(grey: Pixels, amount: float, _: np.random.Generator) -> Pixels:
    """Convolve with a Gaussian whose standard deviation is a share of the longer side."""
    down, across = _frequencies(grey)
    deviation = amount * max(grey.shape)
    transfer = np.exp(-2 * (math.pi * deviation) ** 2 * (down**2 + across**2))
    return _from_spectrum(np.fft.fft2(grey) * transfer)


def _resolution(grey: Pixels, amount: float, _: np.random.Generator) -> Pixels:
    """Resize to as many pixels along the longer side as the amount, and back."""
    rows, columns = grey.shape
    scale = min(1.0, amount / max(rows, columns))
    small = Image.fromarray(grey).resize(
        (_at_least_one(columns * scale), _at_least_one(rows * scale)), Image.Resampling.BOX
    )
    return np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)


def _contrast(grey: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Apply a gamma curve, whose exponent is the amount in half of the slices and its inverse in the others."""
    return _single(grey ** (amount if rng.integers(2) else 1 / amount))


def _jpeg(grey: Pixels, amount: float, _: np.random.Generator) -> Pixels:
    """Compress in 8 bits, with the amount as quality."""
    stream = io.BytesIO()
    Image.fromarray(np.rint(grey * _DEEPEST).astype(np.uint8)).save(stream, "JPEG", quality=int(amount))
    with Image.open(stream) as decoded:
        return np.asarray(decoded, np.float32) / np.float32(_DEEPEST)


def _rotation(grey: Pixels, amount: float, rng: np.random.Generator) -> _ChangedPixels:
    """Rotate by degrees, either way, on a canvas that grows with the picture."""
    angle = amount if rng.integers(2) else -amount
    return np.asarray(Image.fromarray(grey).rotate(angle, Image.Resampling.BILINEAR, expand=True), np.float32)


def _crop(grey: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Blacken a share of the head at one of its four sides, as if it lay outside the field of view."""
    head = find_head(grey)
    down, across = round(amount * head.height), round(amount * head.width)
    rows, columns = grey.shape
    seen = (
        Box(head.top + down, 0, rows, columns),
        Box(0, 0, head.bottom - down, columns),
        Box(0, head.left + across, rows, columns),
        Box(0, 0, rows, head.right - across),
    )[int(rng.integers(4))]
    kept = np.zeros_like(grey)
    kept[seen.top : seen.bottom, seen.left : seen.right] = seen.crop(grey)
    return kept


CORRUPTIONS: Final = (
    Corruption(
        "bias field", "standard deviation of the logarithm of the shading", (0.15, 0.3, 0.45, 0.6, 0.8), _bias_field
    ),
    Corruption("noise", "standard deviation, share of the range", (0.02, 0.04, 0.07, 0.11, 0.16), _noise),
    Corruption("motion", "shift, share of the longer side", (0.004, 0.008, 0.012, 0.018, 0.025), _motion),
    Corruption("ringing", "frequencies along the longer side", (128.0, 96.0, 64.0, 48.0, 32.0), _ringing),
    Corruption("blur", "standard deviation, share of the longer side", (0.004, 0.008, 0.012, 0.018, 0.025), _blur),
    Corruption("resolution", "pixels along the longer side", (128.0, 96.0, 64.0, 48.0, 32.0), _resolution),
    Corruption("contrast", "exponent of the grey values, or its inverse", (1.2, 1.5, 1.8, 2.2, 2.7), _contrast),
    Corruption("JPEG", "quality", (50.0, 30.0, 20.0, 10.0, 5.0), _jpeg),
    Corruption("rotation", "degrees, either way", (5.0, 10.0, 20.0, 30.0, 45.0), _rotation),
    Corruption("crop", "share of the head cut off at one side", (0.05, 0.1, 0.15, 0.2, 0.3), _crop),
)
"""All kinds of change, with their amounts."""


def _frequencies(grey: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Return the spatial frequencies down ``(h, 1)`` and across ``(1, w)``, in cycles per pixel."""
    rows, columns = grey.shape
    return np.fft.fftfreq(rows)[:, np.newaxis], np.fft.fftfreq(columns)[np.newaxis]


def _from_spectrum(spectrum: np.ndarray) -> Pixels:
    return _single(np.abs(np.fft.ifft2(spectrum)))


def _single(grey: np.ndarray) -> Pixels:
    return np.asarray(grey, np.float32)


def _at_least_one(side: float) -> int:
    return max(1, round(side))
