"""The FastAPI application: routes, middleware and exception handlers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

import brainslice
from brainslice.errors import TimeLimitError, UnreadableScanError
from brainslice.inference import Predictor
from brainslice.service.assets import Asset, example_assets, page_assets
from brainslice.service.context import ServiceContext
from brainslice.service.middleware import AuthMiddleware, LoggingMiddleware
from brainslice.service.model_info import RESEARCH_USE_ONLY
from brainslice.service.problems import ErrorCode, FieldError, ProblemError, problem_response, refusal_problem
from brainslice.service.responses import PROBLEMS, describe
from brainslice.service.routes import router
from brainslice.service.settings import Settings

BUSY_SECONDS: Final = 0.5
"""How long a client waits for the answer that the service is busy.

A client that posts again at once would otherwise have most of the event loop's time.
"""

_HTTP_ERRORS: Final = {
    404: (ErrorCode.NOT_FOUND, "there is nothing at this path; /openapi.json lists all paths"),
    405: (ErrorCode.WRONG_METHOD, "this path takes another method; see the Allow header"),
}


def create_app(predictor: Predictor, settings: Settings | None = None) -> FastAPI:
    """Create the application, with its ``ServiceContext`` as ``app.state.service``."""
    settings = settings or Settings()
    service = ServiceContext.of(predictor, settings)
    app = _Application(
        title="brainslice",
        version=brainslice.__version__,
        description=RESEARCH_USE_ONLY,
        docs_url=None,  # the default page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        responses=PROBLEMS,
        exception_handlers=_handlers(),
    )
    app.state.service = service
    app.include_router(router)
    assets = page_assets() | example_assets()
    for path, asset in assets.items():
        app.add_route(path, _asset_route(asset), ["GET"], include_in_schema=False)
    # The middleware added last is the outermost.
    app.add_middleware(AuthMiddleware, settings=settings, public=frozenset(assets))
    if settings.origins:
        methods, headers = ["GET", "POST", "DELETE"], ["Authorization"]
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=methods, allow_headers=headers)
    app.add_middleware(LoggingMiddleware, metrics=service.metrics, page=frozenset(assets))
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        self.openapi_schema = self.openapi_schema or describe(self)
        return self.openapi_schema


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.service.lifespan():
        yield


def _asset_route(asset: Asset) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def endpoint(request: Request) -> Response:
        return asset.response(request)

    return endpoint


def _handlers() -> dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]:
    return {
        ProblemError: _handle_problem,
        UnreadableScanError: _handle_unreadable_scan,
        TimeLimitError: _handle_time_limit,
        RequestValidationError: _handle_validation_error,
        HTTPException: _handle_http_error,
    }


async def _handle_problem(_: Request, error: ProblemError) -> Response:
    if error.fault is ErrorCode.BUSY:
        await asyncio.sleep(BUSY_SECONDS)
    return problem_response(error)


async def _handle_unreadable_scan(_: Request, error: UnreadableScanError) -> Response:
    return problem_response(refusal_problem(error))


async def _handle_time_limit(_: Request, error: TimeLimitError) -> Response:
    return problem_response(ProblemError(ErrorCode.OUT_OF_TIME, str(error)))


async def _handle_validation_error(_: Request, error: RequestValidationError) -> Response:
    # Without the invalid values, which may be of any kind.
    errors = [FieldError(str(each["loc"][-1]), str(each["msg"])) for each in error.errors()]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors)
    return problem_response(ProblemError(ErrorCode.BAD_VALUE, detail, errors))


async def _handle_http_error(_: Request, error: HTTPException) -> Response:
    code, detail = _HTTP_ERRORS.get(error.status_code, (ErrorCode.BAD_UPLOAD, "the request is invalid"))
    return problem_response(ProblemError(code, detail), error.headers)
