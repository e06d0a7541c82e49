"""Another hospital's drawn heads: an older scanner, other margins, and labels that say tumour or not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from brainslice.errors import UsageError
from brainslice.files import atomic_folder
from brainslice.phantom.draw import KINDS, draw_phantom
from brainslice.progress import Progress, silent

FEWEST_HEADS: Final = 6
"""With fewer there are not enough groups of each kind for three folds, each tuned by the others."""

_FAR: Final = 100_003
_JPEG_QUALITY: Final = 75


def write_external_site(
    folder: Path, heads_per_kind: int = 24, slices: int = 2, seed: int = 7, progress: Progress = silent
) -> None:
    """Draw a set with the folders ``yes`` and ``no``, as another scanner would show such heads.

    None of its heads is in a set of ``write_phantoms``. Greys are flattened, noise is stronger, the picture is softer,
    and there is a wide dark margin that is not black. The folder is replaced whole or not at all.

    Args:
        folder: Where the set goes.
        heads_per_kind: Healthy heads, and heads with a tumour of any type in turn.
        slices: Slices of each head.
        seed: Another seed gives other heads.
        progress: Hears of each picture written.

    Raises:
        UsageError: Too few heads, or no slices.
        ResourceError: The disk is full.
    """
    if heads_per_kind < FEWEST_HEADS or slices < 1:
        msg = f"a drawn site must have {FEWEST_HEADS} heads a kind and a slice each, got {heads_per_kind} and {slices}"
        raise UsageError(msg)
    tumours = [kind for kind in KINDS if kind != "no_tumor"]
    with atomic_folder(folder) as staging:
        done = 0
        for label, kinds in (("yes", tumours), ("no", ["no_tumor"])):
            (staging / label).mkdir()
            for head in range(heads_per_kind):
                for number in range(slices):
                    drawn = draw_phantom(kinds[head % len(kinds)], head, number, seed + _FAR)
                    seen = _rescan(drawn.pixels, np.random.default_rng((seed, head, number, len(kinds))))
                    (staging / label / f"{label}_{head:03d}_{number:02d}.jpg").write_bytes(_encoded(seen))
                    done += 1
                    progress("drawing another site's heads", done, 2 * heads_per_kind * slices)


def _rescan(pixels: UInt8[np.ndarray, "h w"], rng: np.random.Generator) -> UInt8[np.ndarray, "h2 w2"]:
    """Show a picture as an older scanner would: coarser, flatter, noisier, and with a grey margin around it."""
    rows, columns = pixels.shape
    coarse = Image.fromarray(pixels).resize((columns * 2 // 3, rows * 2 // 3), Image.Resampling.BILINEAR)
    grey = np.asarray(coarse, np.float32) / 255
    flat = 0.75 * grey**0.6
    real, imaginary = rng.normal(scale=0.05, size=(2, *flat.shape))
    noisy = np.hypot(flat + real, imaginary)
    margin = round(0.12 * max(noisy.shape))
    framed = np.pad(noisy, ((margin, margin), (2 * margin, 2 * margin)), constant_values=0.04)
    seen: UInt8[np.ndarray, "h2 w2"] = np.clip(255 * framed, 0, 255).astype(np.uint8)
    return seen


def _encoded(pixels: UInt8[np.ndarray, "h w"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
