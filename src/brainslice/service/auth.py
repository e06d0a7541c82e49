"""Who may ask: the host that was called, the site that calls, and the token it bears."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from brainslice.service.problems import ErrorCode, ProblemError, problem_response
from brainslice.service.settings import Settings, is_loopback

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Answered whoever asks, by whatever name: they tell nothing."""

_OWN_SITES: Final = frozenset({"same-origin", "none"})


class AuthMiddleware:
    """Stands before all routes and refuses who may not ask."""

    def __init__(self, app: ASGIApp, settings: Settings, public: frozenset[str]) -> None:
        """Stand before an application.

        Args:
            app: What answers those who may ask.
            settings: The hosts and the token.
            public: Addresses of the page's own files, which tell nothing about anyone.
        """
        self._app = app
        self._settings = settings
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        try:
            self._refuse(Headers(scope=scope), scope["path"])
        except ProblemError as error:
            await problem_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refuse(self, headers: Headers, path: str) -> None:
        if not self._may_be_called(_host_of(headers.get("host", ""))):
            detail = "the Host header must name this service; call it by its own address, or give --allow-host"
            raise ProblemError(ErrorCode.FOREIGN_HOST, detail)
        if path in self._public:
            return
        if _comes_from_elsewhere(headers):
            raise ProblemError(ErrorCode.CROSS_SITE, "pages of other sites may not use this service; open its own page")
        if not self._bears_token(headers):
            raise ProblemError(ErrorCode.TOKEN_NEEDED, "a token is needed; send it as Authorization: Bearer …")

    def _may_be_called(self, host: str) -> bool:
        told = self._settings
        # Where any name will do, a page that got its own name resolved to us still lacks the token.
        any_name = not told.hosts and not told.on_loopback
        return any_name or is_loopback(host) or host in {told.host.casefold(), *told.hosts}

    def _bears_token(self, headers: Headers) -> bool:
        if self._settings.token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(token.strip().encode(), self._settings.token.encode())
        return known and scheme.casefold() == "bearer"


def _host_of(header: str) -> str:
    """Cut the port off what a Host header says; an address of version 6 stands in brackets."""
    try:
        return (urlsplit(f"//{header}").hostname or "").casefold()
    except ValueError:
        return ""


def _comes_from_elsewhere(headers: Headers) -> bool:
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
