"""Predictions as images: the scan, its heat map overlay, and a caption."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from brainslice.array_types import Float, UInt8
from brainslice.arrays import Heat, NetworkInput
from brainslice.errors import UsageError
from brainslice.files import atomic_file
from brainslice.inference.prediction import Prediction, format_percent
from brainslice.labels import class_title

OPACITY: Final = 0.65
"""The default opacity of the heat map's maximum."""

RESEARCH_ONLY: Final = "research use only, not for diagnosis"
"""The note under every image."""

_Color: TypeAlias = tuple[int, int, int]

_PANEL: Final = 448
_MARGIN: Final = 12
_LINE_HEIGHT: Final = 26
_FONT_SIZE: Final = 18
_BAR_SIZE: Final = (120, 12)
_TEXT_COLOR: Final = (235, 235, 235)
_BACKGROUND: Final = (0, 0, 0)
_WARNING: Final = (255, 199, 127)
# Lightness rises evenly, steps are equal in Oklab, and the hue turns from violet over red to yellow, so that the order
# is also visible with colour blindness and in grey print.
_STOPS: Final = (
    (20, 14, 54),
    (38, 13, 80),
    (61, 8, 102),
    (87, 3, 116),
    (115, 1, 121),
    (142, 1, 118),
    (169, 1, 111),
    (195, 11, 101),
    (218, 34, 89),
    (237, 63, 78),
    (251, 92, 70),
    (255, 123, 76),
    (255, 150, 92),
    (255, 175, 108),
    (255, 199, 127),
    (255, 224, 149),
    (254, 248, 168),
)


def apply_colormap(levels: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Map levels from 0, dark, to 1, light, to sRGB; values beyond are clipped.

    Reference:
        Kovesi, Good Colour Maps: How to Design Them, arXiv:1509.03700; the distances are those of
        Ottosson, A perceptual color space for image processing, 2020.
    """
    stops = np.asarray(_STOPS, dtype=np.float64)
    position = np.clip(levels, 0.0, 1.0) * (len(stops) - 1)
    channels = [np.interp(position, np.arange(len(stops)), channel) for channel in stops.T]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)


def draw_overlay(image: NetworkInput, heat: Heat, opacity: float = OPACITY) -> UInt8[np.ndarray, "h w 3"]:
    """Blend a heat map, relative to its maximum, over the network input.

    Args:
        image: The network input ``(h, w)``.
        heat: The heat map ``(h, w)``, at least 0; 0 leaves the image unchanged.
        opacity: The opacity of the maximum, 0 to 1.

    Returns:
        An RGB image ``(h, w, 3)``.

    Raises:
        UsageError: The heat is below 0 or not finite, or the opacity is not from 0 to 1.
    """
    if not 0.0 <= opacity <= 1.0:
        msg = f"opacity must be a share from 0 to 1, got {opacity!r}"
        raise UsageError(msg)
    levels = _relative(heat)
    # The square root makes low values visible, while 0 stays invisible.
    cover = opacity * np.sqrt(levels)[..., np.newaxis]
    scan = image[..., np.newaxis].astype(np.float32)
    return np.asarray(np.rint((1.0 - cover) * scan + cover * apply_colormap(levels)), dtype=np.uint8)


def draw_page(
    prediction: Prediction,
    name: str | None = None,
    opacity: float = OPACITY,
    lines: tuple[str, str, str] | None = None,
) -> Image.Image:
    """Draw the network input beside its overlay, with a caption without the file name.

    Args:
        prediction: The prediction.
        name: The class of the heat map; None for the predicted one.
        opacity: The opacity of the heat map's maximum, 0 to 1.
        lines: The three lines of the caption; None for those of ``caption``.

    Raises:
        DatasetError: There is no such class.
        UsageError: The opacity is not from 0 to 1.
    """
    shown = prediction.most_probable_class if name is None else name
    overlay = draw_overlay(prediction.network_input, prediction.heat_map(shown), opacity)
    page = Image.new("RGB", (2 * _PANEL + 3 * _MARGIN, _PANEL + 2 * _MARGIN + 3 * _LINE_HEIGHT), _BACKGROUND)
    for column, pixels in enumerate((prediction.network_input, overlay)):
        panel = Image.fromarray(pixels).convert("RGB").resize((_PANEL, _PANEL), Image.Resampling.BICUBIC)
        page.paste(panel, (_MARGIN + column * (_PANEL + _MARGIN), _MARGIN))
    _write_caption(page, lines or caption(prediction, shown))
    return page


def save_overlay(prediction: Prediction, path: Path, name: str | None = None, opacity: float = OPACITY) -> None:
    """Write the page of ``draw_page`` as a PNG, whole or not at all."""
    page = draw_page(prediction, name, opacity)
    with atomic_file(path) as temporary:
        temporary.write_bytes(encode_png(page))


def encode_png(picture: Image.Image) -> bytes:
    """Encode an image as PNG."""
    stream = io.BytesIO()
    # Scans compress as well at this level, in half the time.
    picture.save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def caption(prediction: Prediction, name: str) -> tuple[str, str, str]:
    """Return the lines under the image: the prediction, the meaning of the colours, and the warnings."""
    tumour = ""
    if prediction.labels.healthy is not None:
        tumour = f"  (any tumour {format_percent(prediction.tumour_probability)})"
    meaning = f"evidence for {class_title(name)}, relative to its maximum"
    if "no_heat_map" in prediction.warnings:
        meaning = "no heat map: this model's last layers have no positions"
    if prediction.predicted_class is None:
        answer = f"{prediction.verdict.value}: {prediction.reasons[0].message}"
    else:
        share = format_percent(prediction.probabilities[prediction.predicted_class])
        answer = f"{class_title(prediction.predicted_class)}, {share}{tumour}"
    return answer, meaning, " · ".join((RESEARCH_ONLY, *prediction.warnings))


def _relative(heat: Heat) -> Heat:
    if not np.isfinite(heat).all() or (heat < 0).any():
        msg = "a heat map must be finite and at least 0, got other values"
        raise UsageError(msg)
    maximum = float(heat.max(initial=0.0))
    return heat / np.float32(maximum) if maximum > 0 else np.zeros_like(heat)


def _write_caption(page: Image.Image, lines: tuple[str, str, str]) -> None:
    draw = ImageDraw.Draw(page)
    top = _PANEL + 2 * _MARGIN
    answer, meaning, warnings = lines
    width = page.width - 2 * _MARGIN
    _write(draw, (_MARGIN, top), answer, width)
    _write(draw, (_MARGIN, top + _LINE_HEIGHT), meaning, width - _BAR_SIZE[0] - _MARGIN)
    _write(draw, (_MARGIN, top + 2 * _LINE_HEIGHT), warnings, width, _WARNING)
    ramp = np.tile(np.linspace(0.0, 1.0, _BAR_SIZE[0], dtype=np.float32), (_BAR_SIZE[1], 1))
    page.paste(Image.fromarray(apply_colormap(ramp)), (page.width - _MARGIN - _BAR_SIZE[0], top + _LINE_HEIGHT + 5))


def _write(
    draw: ImageDraw.ImageDraw,
    position: tuple[int, int],
    text: str,
    width: int,
    color: _Color = _TEXT_COLOR,
) -> None:
    font = ImageFont.load_default(size=_FONT_SIZE)
    while len(text) > 1 and draw.textlength(text, font=font) > width:
        text = text[:-2] + "…"
    draw.text(position, text, fill=color, font=font)
