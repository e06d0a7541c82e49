from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from brainslice.infer.predictor import Predictor
from brainslice.serve.service import Service, service_of
from brainslice.serve.settings import Settings


def test_a_request_finds_the_service_it_reached(predictor: Predictor) -> None:
    app = FastAPI()
    app.state.service = Service.of(predictor, Settings())
    assert service_of(Request({"type": "http", "app": app})) is app.state.service


def test_an_application_without_a_service_is_a_fault_of_ours() -> None:
    app = FastAPI()
    app.state.service = None
    with pytest.raises(TypeError, match="NoneType"):
        service_of(Request({"type": "http", "app": app}))


def test_a_service_ends_in_order_and_leaves_no_task(predictor: Predictor) -> None:
    async def scene() -> int:
        async with Service.of(predictor, Settings()).working():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scene()) == 1
