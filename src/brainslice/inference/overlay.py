"""A prediction as a picture: the scan, the evidence laid over it, and what must be said beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from brainslice.arrays import Heat, NetworkInput
from brainslice.errors import UsageError
from brainslice.files import atomic_file
from brainslice.inference.colormap import apply_colormap
from brainslice.inference.prediction import Prediction, format_percent

OPACITY: Final = 0.65
"""How much of the scan the strongest heat hides, unless told otherwise."""

RESEARCH_ONLY: Final = "research use only"
"""What stands under every picture."""

_PANEL: Final = 448
_MARGIN: Final = 12
_LINE: Final = 26
_FONT_SIZE: Final = 18
_BAR: Final = (120, 12)
_INK: Final = (235, 235, 235)
_PAPER: Final = (0, 0, 0)
_WARNING: Final = (255, 199, 127)


def draw_overlay(seen: NetworkInput, heat: Heat, opacity: float = OPACITY) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a heat map over the scan it explains.

    Colours tell the heat relative to its own strongest point. Where there is none the scan shows through
    unchanged, so that anatomy stays readable.

    Args:
        seen: The scan as the network saw it ``(h, w)``.
        heat: How much each of its pixels speaks for a class ``(h, w)``, at least 0.
        opacity: How much of the scan the strongest heat hides, 0 to 1.

    Returns:
        Red, green and blue ``(h, w, 3)``.

    Raises:
        UsageError: The heat is below 0 or not finite, or the opacity is no share.
    """
    if not 0.0 <= opacity <= 1.0:
        msg = f"opacity must be a share from 0 to 1, got {opacity!r}"
        raise UsageError(msg)
    levels = _relative(heat)
    # The square root lets weak evidence be seen at all, while none stays invisible.
    cover = opacity * np.sqrt(levels)[..., np.newaxis]
    scan = seen[..., np.newaxis].astype(np.float32)
    return np.asarray(np.rint((1.0 - cover) * scan + cover * apply_colormap(levels)), dtype=np.uint8)


def draw_page(prediction: Prediction, name: str | None = None, opacity: float = OPACITY) -> Image.Image:
    """Draw the scan beside its overlay, with a caption under both.

    Args:
        prediction: The answer to explain. Its file's name is not drawn: it may name a patient.
        name: The class whose evidence is shown; the predicted one unless told otherwise.
        opacity: How much of the scan the strongest heat hides, 0 to 1.

    Returns:
        The page, in colour.

    Raises:
        DatasetError: There is no such class.
        UsageError: The opacity is no share.
    """
    shown = prediction.most_probable_class if name is None else name
    overlay = draw_overlay(prediction.network_input, prediction.heat_map(shown), opacity)
    page = Image.new("RGB", (2 * _PANEL + 3 * _MARGIN, _PANEL + 2 * _MARGIN + 3 * _LINE), _PAPER)
    for place, pixels in enumerate((prediction.network_input, overlay)):
        panel = Image.fromarray(pixels).convert("RGB").resize((_PANEL, _PANEL), Image.Resampling.BICUBIC)
        page.paste(panel, (_MARGIN + place * (_PANEL + _MARGIN), _MARGIN))
    _write_caption(page, prediction, shown)
    return page


def save_overlay(prediction: Prediction, path: Path, name: str | None = None, opacity: float = OPACITY) -> None:
    """Write the page of ``draw_page`` as a PNG, whole or not at all.

    Raises:
        DatasetError: There is no such class.
        UsageError: The opacity is no share.
        ResourceError: The disk is full.
    """
    page = draw_page(prediction, name, opacity)
    with atomic_file(path) as temporary:
        page.save(temporary, format="PNG")


def caption(prediction: Prediction, name: str) -> tuple[str, str, str]:
    """Say what stands under the picture: the answer, what the colours mean, and the warnings."""
    tumour = f"any tumour {format_percent(prediction.tumour_probability)}"
    meaning = f"evidence for {name}, relative to its strongest point"
    if prediction.predicted_class is None:
        answer = f"{prediction.verdict.value}: {prediction.reasons[0].message}"
    else:
        share = format_percent(prediction.probabilities[prediction.predicted_class])
        answer = f"{prediction.predicted_class}, {share}  ({tumour})"
    return answer, meaning, " · ".join((*prediction.warnings, RESEARCH_ONLY))


def _relative(heat: Heat) -> Heat:
    if not np.isfinite(heat).all() or (heat < 0).any():
        msg = "heat must be finite and at least 0 everywhere, got something else"
        raise UsageError(msg)
    strongest = float(heat.max(initial=0.0))
    return heat / np.float32(strongest) if strongest > 0 else np.zeros_like(heat)


def _write_caption(page: Image.Image, prediction: Prediction, name: str) -> None:
    draw = ImageDraw.Draw(page)
    top = _PANEL + 2 * _MARGIN
    answer, meaning, warnings = caption(prediction, name)
    width = page.width - 2 * _MARGIN
    _write(draw, (_MARGIN, top), answer, width)
    _write(draw, (_MARGIN, top + _LINE), meaning, width - _BAR[0] - _MARGIN)
    _write(draw, (_MARGIN, top + 2 * _LINE), warnings, width, _WARNING)
    ramp = np.tile(np.linspace(0.0, 1.0, _BAR[0], dtype=np.float32), (_BAR[1], 1))
    page.paste(Image.fromarray(apply_colormap(ramp)), (page.width - _MARGIN - _BAR[0], top + _LINE + 5))


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, width: int, ink: tuple[int, int, int] = _INK
) -> None:
    font = ImageFont.load_default(size=_FONT_SIZE)
    while len(text) > 1 and draw.textlength(text, font=font) > width:
        text = text[:-2] + "…"
    draw.text(place, text, fill=ink, font=font)
