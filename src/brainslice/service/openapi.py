"""What the machine-readable schema says beyond what the routes' types do."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from brainslice.service.problems import PROBLEM_TYPE
from brainslice.service.responses import ProblemResponse

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": ProblemResponse, "description": "What is wrong, and what to do about it"}
}
"""Every address answers with a problem when something is wrong."""


def file_form(name: str, *, several: bool) -> dict[str, Any]:
    """Describe a form with files in one field; the service reads it from the stream by itself.

    Args:
        name: The field.
        several: Whether it may hold more than one.
    """
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    field = {"type": "array", "items": file, "minItems": 1} if several else file
    form = {"type": "object", "required": [name], "properties": {name: field}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Write the schema, problems under their own media type.

    Args:
        app: The application with all its routes.
    """
    told = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for operations in told["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            content[PROBLEM_TYPE] = content.pop("application/json")
    return told
