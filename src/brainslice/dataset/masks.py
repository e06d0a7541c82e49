"""Tumour masks, transformed like their scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from brainslice.arrays import Mask
from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.splits.known_datasets import find_mask
from brainslice.errors import UnreadableScanError
from brainslice.preprocessing import Recipe
from brainslice.scan import Slice, read_scan


def tumour_mask(manifest: Manifest, record: Record, recipe: Recipe) -> Mask | None:
    """Read the mask ``(size, size)`` of a prepared scan; None where the set has none for it.

    Raises:
        UnreadableScanError: The scan or its mask cannot be read.
    """
    found = find_mask(manifest, record)
    if found is None:
        return None
    path, mirrored = found
    return read_mask(path, read_scan(manifest.root / record.path), recipe, mirrored=mirrored)


def read_mask(path: Path, scan: Slice, recipe: Recipe, *, mirrored: bool = False) -> Mask:
    """Read a mask of any size and transform it like its scan.

    Args:
        path: An image, above 0 inside the tumour.
        scan: The scan; the mask is resized to its size.
        recipe: Preprocessing of the network.
        mirrored: Whether to flip the mask left to right first.

    Returns:
        Tumour pixels ``(size, size)``.

    Raises:
        UnreadableScanError: The mask cannot be read.
    """
    rows, columns = scan.pixels.shape
    try:
        with Image.open(path) as picture:
            sized = picture.convert("L").resize((columns, rows), Image.Resampling.NEAREST)
    except OSError as error:
        msg = f"{path}: the mask cannot be read ({error}); remove it, or its folder from dataset.json"
        raise UnreadableScanError(msg) from error
    outline = np.asarray(sized, np.float32)
    upright = np.ascontiguousarray(outline[:, ::-1]) if mirrored else outline
    return recipe.frame(scan).warp(upright, nearest=True) > 0
