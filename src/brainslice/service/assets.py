"""The page's own files: read once, compressed once, and sent with a policy that lets nothing foreign in."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from brainslice.phantom import draw_phantom

PAGE: Final = Path(__file__).parent / "page"
"""Where the page lies."""

FIRST: Final = "index.html"
"""What is shown at ``/``."""

_SOURCES: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
POLICY: Final = "; ".join(_SOURCES)
"""What the page may load: this service's own files, and pictures it was handed."""

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

_EXAMPLES: Final = {"phantom-tumour": ("meningioma", 3), "phantom-healthy": ("no_tumor", 5)}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page.

    Attributes:
        kind: Its media type.
        tag: Its digest, as caches compare it.
        plain: Its bytes.
        packed: The same compressed with gzip; None where that would save nothing.
    """

    kind: str
    tag: str
    plain: bytes = field(repr=False)
    packed: bytes | None = field(repr=False)

    def response(self, request: Request) -> Response:
        """Send the file, or say that the copy its asker has is still good."""
        # Asked for again each time, and sent only if it changed: an update is never mixed with an older half.
        headers = {
            "ETag": self.tag,
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": POLICY,
        }
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.kind)
        return Response(self.plain, headers=headers, media_type=self.kind)


def page_assets(folder: Path = PAGE) -> dict[str, Asset]:
    """Read all files of the page.

    Args:
        folder: Where they lie; files of kinds that no page needs are passed over.

    Returns:
        The address of each, beginning with ``/``, to the file.
    """
    found = {
        f"/{path.relative_to(folder).as_posix()}": _read(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    first = found.pop(f"/{FIRST}", None)
    return found if first is None else {"/": first, **found}


@functools.cache
def example_assets() -> dict[str, Asset]:
    """Draw the two phantoms that the page offers to try; gives their addresses, as ``page_assets`` does."""
    return {f"/examples/{name}.png": _asset(".png", _drawn(*which)) for name, which in _EXAMPLES.items()}


def _drawn(kind: str, patient: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(draw_phantom(kind, patient, 1, 0).pixels).save(stream, format="PNG")
    return stream.getvalue()


def _read(path: Path) -> Asset:
    return _asset(path.suffix, path.read_bytes())


def _asset(suffix: str, data: bytes) -> Asset:
    packed = gzip.compress(data, mtime=0)
    tag = f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'
    return Asset(_TYPES[suffix], tag, data, packed if len(packed) < len(data) else None)
