"""A gallery of duplicate pairs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from brainslice.dataset.audit.report import AuditReport
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair
from brainslice.errors import UnreadableScanError
from brainslice.files import atomic_file
from brainslice.scan import read_scan

_SIDE: Final = 192
_GAP: Final = 6
_LINE: Final = 15
_TEXT: Final = 3 * _LINE + 8
_ACROSS: Final = 3
_MAX_LABEL: Final = 29
"""Characters of a file's name that fit under its image."""

_PAPER, _INK, _FAINT, _EMPTY = "#ffffff", "#1a1a1a", "#666666", "#d9d9d9"
# Colours for colour-blind readers (Okabe and Ito).
_COLOURS: Final = {
    DuplicateKind.IDENTICAL: "#d55e00",
    DuplicateKind.SAME_PIXELS: "#e69f00",
    DuplicateKind.NEAR: "#0072b2",
    DuplicateKind.MIRRORED: "#009e73",
    DuplicateKind.ROTATED: "#cc79a7",
    DuplicateKind.SIMILAR: "#666666",
}


def draw_pairs(report: AuditReport, path: Path, limit: int = 24) -> None:
    """Draw pairs of copies side by side, with kind, correlation, splits and names.

    Pairs across splits or classes come first; groups and kinds alternate.

    Args:
        report: The audit report.
        path: The PNG file.
        limit: Maximum number of pairs.

    Raises:
        ResourceError: The disk is full.
    """
    chosen = choose_pairs(report, limit)
    across = max(1, min(_ACROSS, len(chosen)))
    down = max(1, -(-len(chosen) // across))
    wide, high = 2 * _SIDE + 3 * _GAP, _SIDE + _TEXT + 2 * _GAP
    sheet = Image.new("RGB", (across * wide, down * high + 2 * _LINE), _PAPER)
    draw = ImageDraw.Draw(sheet)
    title = f"{report.folder.name}: {len(chosen):,} of {len(report.duplicates):,} pairs of copies"
    draw.text((_GAP, _GAP), _shown(title), fill=_INK, font=_font())
    for index, pair in enumerate(chosen):
        corner = (index % across * wide, index // across * high + 2 * _LINE)
        _draw_pair(sheet, report, pair, corner)
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def choose_pairs(report: AuditReport, limit: int) -> tuple[DuplicatePair, ...]:
    """Choose pairs for the gallery: across splits or classes first, of many groups and all kinds."""
    group_counts: dict[int, int] = {}
    queues: dict[DuplicateKind, list[tuple[int, bool, DuplicatePair]]] = {kind: [] for kind in DuplicateKind}
    for pair in sorted(report.duplicates, key=lambda pair: not _crosses(report, pair)):
        group = int(report.groups[pair.first])
        queues[pair.kind].append((group_counts.get(group, 0), not _crosses(report, pair), pair))
        group_counts[group] = group_counts.get(group, 0) + 1
    ordered = {kind: iter(sorted(queue, key=lambda entry: entry[:2])) for kind, queue in queues.items()}
    return tuple(pair for _, pair in zip(range(limit), _alternate(list(ordered.values())), strict=False))


def _alternate(queues: Sequence[Iterator[tuple[int, bool, DuplicatePair]]]) -> Iterator[DuplicatePair]:
    waiting = list(queues)
    while waiting:
        for queue in tuple(waiting):
            entry = next(queue, None)
            if entry is None:
                waiting.remove(queue)
            else:
                yield entry[2]


def _crosses(report: AuditReport, pair: DuplicatePair) -> bool:
    first, second = report.files[pair.first], report.files[pair.second]
    return first.split != second.split or first.label != second.label


def _draw_pair(sheet: Image.Image, report: AuditReport, pair: DuplicatePair, corner: tuple[int, int]) -> None:
    left, top = corner
    below = top + _GAP + _SIDE + 4
    draw = ImageDraw.Draw(sheet)
    for side, index in enumerate((pair.first, pair.second)):
        file, start = report.files[index], left + _GAP + side * (_SIDE + _GAP)
        sheet.paste(_thumbnail(report.folder / file.path), (start, top + _GAP))
        origin = " / ".join(part for part in (file.split, file.label) if part)
        draw.text((start, below + _LINE), _shortened(origin), fill=_FAINT, font=_font())
        draw.text((start, below + 2 * _LINE), _shortened(Path(file.path).name), fill=_INK, font=_font())
    caption = f"{pair.kind.value}, correlation {pair.correlation:.3f}"
    draw.text((left + _GAP, below), caption, fill=_COLOURS[pair.kind], font=_font())


def _thumbnail(path: Path) -> Image.Image:
    """Fit a scan into a square; a grey square if the file is missing."""
    square = Image.new("RGB", (_SIDE, _SIDE), "#000000")
    try:
        pixels = read_scan(path).pixels
    except UnreadableScanError:
        return Image.new("RGB", (_SIDE, _SIDE), _EMPTY)
    rows, columns = pixels.shape
    scale = _SIDE / max(rows, columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    low, high = float(small.min()), float(small.max())
    grey = ((small - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    square.paste(Image.fromarray(grey), ((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2))
    return square


def _shortened(text: str) -> str:
    """Shorten a long name in the middle."""
    text = _shown(text)
    if len(text) <= _MAX_LABEL:
        return text
    front = (_MAX_LABEL - 3) // 2
    return f"{text[:front]}...{text[front + 3 - _MAX_LABEL :]}"


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=12)
