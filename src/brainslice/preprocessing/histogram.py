"""Standardisation of grey-value histograms with landmarks that are learnt from training scans (Nyúl)."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32
from brainslice.arrays import Pixels
from brainslice.preprocessing.geometry import foreground

LANDMARKS: Final = 9
"""The number of landmarks: the deciles of the foreground, 10 % to 90 %."""

Deciles: TypeAlias = Float32[np.ndarray, " 9"]
"""The deciles of the foreground's grey values."""

# The number of pixels on a regular grid from which deciles are estimated.
_SAMPLE: Final = 1 << 15


def deciles(stretched: Pixels) -> Deciles:
    """Compute the deciles of the foreground of grey values of 0 to 1 ``(h, w)``; all 0 if there is none."""
    stride = math.ceil(math.sqrt(stretched.size / _SAMPLE))
    ordered = np.sort(stretched[foreground(stretched)][:: stride * stride])
    if ordered.size == 0:
        return np.zeros(LANDMARKS, np.float32)
    places = np.linspace(0.1, 0.9, LANDMARKS) * (ordered.size - 1)
    found: Deciles = np.interp(places, np.arange(ordered.size), ordered).astype(np.float32)
    return found


def mean_landmarks(each: Float32[np.ndarray, "n landmarks"]) -> tuple[float, ...]:
    """Average the deciles of training scans to the landmarks of the standard scale; empty without any foreground."""
    usable = each[each[:, -1] > each[:, 0]]
    if not len(usable):
        return ()
    return tuple(round(float(level), 6) for level in usable.mean(axis=0, dtype=np.float64))


def standardise(stretched: Pixels, landmarks: tuple[float, ...]) -> Pixels:
    """Map grey values of 0 to 1 ``(h, w)`` so that the deciles of the foreground become the landmarks.

    Between landmarks the map is linear; 0 and 1, which are the percentiles of the stretch, stay.

    Reference:
        Nyúl, Udupa and Zhang, New variants of a method of MRI scale standardization, IEEE Trans. Med. Imaging 19
        (2000).
    """
    found = deciles(stretched)
    if found[-1] <= found[0]:
        return stretched
    # The first of equal grey values counts, so that the map is a function.
    grey, first = np.unique(np.concatenate([[0.0], found, [1.0]]), return_index=True)
    standard = np.array([0.0, *landmarks, 1.0])[first]
    mapped: Pixels = np.interp(stretched, grey, standard).astype(np.float32)
    return mapped
