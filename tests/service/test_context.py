from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from brainslice.inference.predictor import Predictor
from brainslice.service.context import ServiceContext, get_context
from brainslice.service.settings import Settings


def test_get_context_returns_the_service_of_the_request(predictor: Predictor) -> None:
    app = FastAPI()
    app.state.service = ServiceContext.of(predictor, Settings())
    assert get_context(Request({"type": "http", "app": app})) is app.state.service


def test_get_context_without_a_service_raises() -> None:
    app = FastAPI()
    app.state.service = None
    with pytest.raises(TypeError, match="NoneType"):
        get_context(Request({"type": "http", "app": app}))


def test_lifespan_ends_all_tasks(predictor: Predictor) -> None:
    async def scene() -> int:
        async with ServiceContext.of(predictor, Settings()).lifespan():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scene()) == 1
