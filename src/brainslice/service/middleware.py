"""Middleware: logging, security headers, limits of URL and headers, and authorization."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import traceback
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brainslice.service.metrics import Metrics
from brainslice.service.problems import STOPPING, ErrorCode, ProblemError, problem_response
from brainslice.service.settings import Limits, Settings, is_loopback

LOG: Final = logging.getLogger("brainslice.service")
"""A line for each request with method, route, status and time; never names, URLs or parameters."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response, unless it sets its own."""

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Paths answered for any client and host name."""

_OWN_SITES: Final = frozenset({"same-origin", "none"})
_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})
_FIRST_ERROR: Final = 400
_SLOW: Final = 408
_DISCARDED_BYTES: Final = 64 << 20
_DISCARD_SECONDS: Final = 5.0


class LoggingMiddleware:
    """The outermost middleware: count and log each request, and turn exceptions into responses."""

    def __init__(self, app: ASGIApp, metrics: Metrics, page: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request and log its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        response = _Response(scope, receive, send)
        try:
            await self._app(scope, response.receive, response.send)
        except asyncio.CancelledError:
            # The server stops, and the time for running requests has passed.
            await response.fail(ErrorCode.DRAINING, STOPPING)
        except Exception as error:  # noqa: BLE001 - no detail of an exception may reach the client
            LOG.error("%s", _location_of(error))  # noqa: TRY400 - a traceback may quote file names
            await response.fail(ErrorCode.BROKEN, "unexpected error of the service; see its log, and report it")
        finally:
            self._log(scope, response.status, time.perf_counter() - began)

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
        route = "page" if scope["path"] in self._page else getattr(scope.get("route"), "path", "unmatched")
        self._metrics.count(method, route, status, seconds)
        LOG.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


class _Response:
    """A response that is being sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        headers = Headers(scope=scope)
        self._body_complete = "content-length" not in headers and "transfer-encoding" not in headers
        # A client that waits for 100 Continue has sent no body.
        self._expects_continue = "expect" in headers
        self._body_begun = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_begun = True
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._body_complete = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            unread = not self._body_complete and (self._body_begun or not self._expects_continue)
            if self.status >= _FIRST_ERROR and self.status != _SLOW and unread:
                await self._discard_body()
        await self._send(message)

    async def fail(self, code: ErrorCode, detail: str) -> None:
        """Send a problem unless a response has begun."""
        if not self.status:
            await problem_response(ProblemError(code, detail))(self._scope, self.receive, self.send)

    async def _discard_body(self) -> None:
        """Read the rest of the body for a while, since a client that is still sending would not see the response."""
        discarded = 0
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                while not self._body_complete and discarded < _DISCARDED_BYTES:
                    discarded += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def _location_of(error: Exception) -> str:
    """Describe an exception by type and location; its message may name a file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]
    return f"{type(error).__name__} at {' > '.join(lines)}"


class AuthMiddleware:
    """Reject requests by size of URL and headers, by host, by origin and by token."""

    def __init__(self, app: ASGIApp, settings: Settings, public: frozenset[str]) -> None:
        self._app = app
        self._settings = settings
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_sizes(scope, self._settings.limits)
            if scope["path"] not in PROBES:
                self._check(Headers(scope=scope), scope["path"])
        except ProblemError as error:
            await problem_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, path: str) -> None:
        if not self._is_own_host(_host_of(headers.get("host", ""))):
            detail = "the Host header must name this service; use its address, or start it with --allow-host"
            raise ProblemError(ErrorCode.FOREIGN_HOST, detail)
        if path in self._public:
            return
        if headers.get("origin") not in self._settings.origins and _is_cross_site(headers):
            detail = "pages of other sites are not allowed; open the page of this service, or give --allow-origin"
            raise ProblemError(ErrorCode.CROSS_SITE, detail)
        if not self._has_token(headers):
            raise ProblemError(ErrorCode.TOKEN_NEEDED, "a token is required; send it as Authorization: Bearer …")

    def _is_own_host(self, host: str) -> bool:
        settings = self._settings
        # Against DNS rebinding; any name is accepted where a token protects the service.
        any_name = not settings.hosts and not settings.on_loopback
        return any_name or is_loopback(host) or host in {settings.host.casefold(), *settings.hosts}

    def _has_token(self, headers: Headers) -> bool:
        if self._settings.token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        equal = hmac.compare_digest(token.strip().encode(), self._settings.token.encode())
        return equal and scheme.casefold() == "bearer"


def _check_sizes(scope: Scope, limits: Limits) -> None:
    url = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if url > limits.url_bytes:
        raise url_too_long(limits)
    if url + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > limits.header_bytes:
        raise headers_too_large(limits)


def url_too_long(limits: Limits) -> ProblemError:
    """Return the problem of a URL that is too long."""
    return ProblemError(ErrorCode.URL_TOO_LONG, f"a URL must have at most {limits.url_bytes:,} bytes; shorten it")


def headers_too_large(limits: Limits) -> ProblemError:
    """Return the problem of headers that are too large."""
    detail = f"URL and headers must have at most {limits.header_bytes:,} bytes; send fewer or shorter headers"
    return ProblemError(ErrorCode.HEADERS_TOO_LARGE, detail)


def _host_of(header: str) -> str:
    """Return the host of a Host header, without port; an IPv6 address is in brackets there."""
    try:
        return (urlsplit(f"//{header}").hostname or "").casefold()
    except ValueError:
        return ""


def _is_cross_site(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None and site.casefold() not in _OWN_SITES:
        return True
    origin = headers.get("origin")
    return origin is not None and _authority_of(origin) != headers.get("host", "").casefold()


def _authority_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
