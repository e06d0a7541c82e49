"""Names for the array shapes that cross a module's border.

The letters are dimensions: ``n`` scans, ``k`` classes, ``h`` rows, ``w`` columns, ``c`` channels. Under test every
annotated signature is checked against them at run time; in use they are only words.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

Pixels: TypeAlias = Float32[np.ndarray, "h w"]
"""One slice as its file stores it: raw grey values, any range."""

Voxels: TypeAlias = Float32[np.ndarray, "s h w"]
"""Slices that lie on each other, ``s`` of them: raw grey values, any range."""

NetworkInput: TypeAlias = UInt8[np.ndarray, "h w"]
"""One slice as every network here sees it: grey, 0 to 255."""

InputBatch: TypeAlias = UInt8[np.ndarray, "n h w"]
"""Several network inputs of one size."""

Logits: TypeAlias = Float[np.ndarray, "n k"]
"""Raw class scores, before any softmax."""

Probabilities: TypeAlias = Float[np.ndarray, "n k"]
"""Class probabilities; every row sums to one."""

Labels: TypeAlias = Int[np.ndarray, " n"]
"""True classes as indices into a ``LabelSet``."""

ClassMaps: TypeAlias = Float[np.ndarray, "n mh mw k"]
"""What every position contributes to every class's logit; the spatial mean is the logit."""

Features: TypeAlias = Float[np.ndarray, "n f"]
"""What the head of a network sees of each scan: the spatial means of the last features."""

MemberLogits: TypeAlias = Float[np.ndarray, "n m k"]
"""Raw class scores of each member of an ensemble; their mean is the ensemble's logits."""

MemberProbabilities: TypeAlias = Float[np.ndarray, "n m k"]
"""Class probabilities of each member of an ensemble, or of each draw; every row sums to one."""

Groups: TypeAlias = Int[np.ndarray, " n"]
"""A number for each scan; scans that share it must stay together."""

Scores: TypeAlias = Float[np.ndarray, " n"]
"""One real number a scan."""

Decisions: TypeAlias = Bool[np.ndarray, " n"]
"""Yes or no for each scan."""

Mask: TypeAlias = Bool[np.ndarray, "h w"]
"""Which pixels belong to something."""

Heat: TypeAlias = Float[np.ndarray, "h w"]
"""How much each pixel or position speaks for a class."""
