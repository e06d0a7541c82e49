"""The application: routes, middleware and exception handlers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import brainslice
from brainslice.errors import TimeLimitError, UnreadableScanError
from brainslice.inference.predictor import Predictor
from brainslice.service.assets import Asset, example_assets, page_assets
from brainslice.service.context import ServiceContext
from brainslice.service.middleware import AuthMiddleware, LoggingMiddleware
from brainslice.service.model_info import RESEARCH_USE_ONLY
from brainslice.service.problems import ErrorCode, FieldError, ProblemError, problem_response, refusal_problem
from brainslice.service.responses import PROBLEMS, describe
from brainslice.service.routes import router
from brainslice.service.settings import Settings

_HTTP_ERRORS: Final = {
    404: (ErrorCode.NOT_FOUND, "there is nothing at this address; /openapi.json lists what there is"),
    405: (ErrorCode.WRONG_METHOD, "this address takes another method; see the Allow header"),
}


def create_app(predictor: Predictor, settings: Settings | None = None) -> FastAPI:
    """Build the application that answers over HTTP.

    Args:
        predictor: What answers for scans.
        settings: Where it listens, who may ask, how much it takes on; None takes the defaults.

    Returns:
        The application; ``app.state.service`` holds all that it works with.

    Raises:
        BundleError: An optional file of the bundle is not what its name promises.
    """
    settings = settings or Settings()
    service = ServiceContext.of(predictor, settings)
    app = _Application(
        title="brainslice",
        version=brainslice.__version__,
        description=RESEARCH_USE_ONLY,
        docs_url=None,  # the usual page loads its program from another host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        responses=PROBLEMS,
        exception_handlers=_handlers(),
    )
    app.state.service = service
    app.include_router(router)
    assets = page_assets() | example_assets()
    for address, asset in assets.items():
        app.add_route(address, _sender(asset), ["GET"], include_in_schema=False)
    # The one added last is the outermost.
    app.add_middleware(AuthMiddleware, settings=settings, public=frozenset(assets))
    app.add_middleware(LoggingMiddleware, metrics=service.metrics, page=frozenset(assets))
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        self.openapi_schema = self.openapi_schema or describe(self)
        return self.openapi_schema


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.service.working():
        yield


def _sender(asset: Asset) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def send(request: Request) -> Response:
        return asset.response(request)

    return send


def _handlers() -> dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]:
    return {
        ProblemError: _answer_problem,
        UnreadableScanError: _answer_unreadable,
        TimeLimitError: _answer_out_of_time,
        RequestValidationError: _answer_bad_values,
        HTTPException: _answer_http_error,
    }


async def _answer_problem(_: Request, error: ProblemError) -> Response:
    return problem_response(error)


async def _answer_unreadable(_: Request, error: UnreadableScanError) -> Response:
    return problem_response(refusal_problem(error))


async def _answer_out_of_time(_: Request, error: TimeLimitError) -> Response:
    return problem_response(ProblemError(ErrorCode.OUT_OF_TIME, str(error)))


async def _answer_bad_values(_: Request, error: RequestValidationError) -> Response:
    # What was sent is not repeated: it might be anything.
    faults = [FieldError(str(fault["loc"][-1]), str(fault["msg"])) for fault in error.errors()]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    return problem_response(ProblemError(ErrorCode.BAD_VALUE, detail, faults))


async def _answer_http_error(_: Request, error: HTTPException) -> Response:
    fault, detail = _HTTP_ERRORS.get(error.status_code, (ErrorCode.BAD_UPLOAD, "the request cannot be understood"))
    return problem_response(ProblemError(fault, detail), error.headers)
