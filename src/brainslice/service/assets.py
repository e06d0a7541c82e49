"""Static files of the page, kept in memory, with a Content-Security-Policy."""

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
"""The folder of the page."""

FIRST: Final = "index.html"
"""The file at ``/``."""

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
"""The Content-Security-Policy: files of this service, and images in data URLs."""

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
    """A static file.

    Attributes:
        media_type: Its media type.
        etag: Its entity tag.
        content: Its bytes.
        compressed: Its bytes compressed with gzip; None if that is not smaller.
    """

    media_type: str
    etag: str
    content: bytes = field(repr=False)
    compressed: bytes | None = field(repr=False)

    def response(self, request: Request) -> Response:
        """Return the file, or 304 if the client's copy is current."""
        # Revalidated each time, so that files of two versions are never mixed.
        headers = {
            "ETag": self.etag,
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": POLICY,
        }
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.content, headers=headers, media_type=self.media_type)


def page_assets(folder: Path = PAGE) -> dict[str, Asset]:
    """Read the files of the page; return them by URL path."""
    found = {
        f"/{path.relative_to(folder).as_posix()}": _asset(path.suffix, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    first = found.pop(f"/{FIRST}", None)
    return found if first is None else {"/": first, **found}


@functools.cache
def example_assets() -> dict[str, Asset]:
    """Draw the two example scans of the page; return them by URL path."""
    return {f"/examples/{name}.png": _asset(".png", _phantom(*which)) for name, which in _EXAMPLES.items()}


def _phantom(kind: str, patient: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(draw_phantom(kind, patient, 1, 0).pixels).save(stream, format="PNG")
    return stream.getvalue()


def _asset(suffix: str, data: bytes) -> Asset:
    compressed = gzip.compress(data, mtime=0)
    etag = f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'
    return Asset(_TYPES[suffix], etag, data, compressed if len(compressed) < len(data) else None)
