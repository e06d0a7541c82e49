"""From a request to its files, and its place among those in work."""

from __future__ import annotations

from starlette.requests import Request

from brainslice.service.concurrency_limit import RequestSlot
from brainslice.service.context import get_context
from brainslice.service.uploads.multipart import UploadedFile, receive_files


async def receive(request: Request, name: str, most: int) -> tuple[list[UploadedFile], RequestSlot]:
    """Let a request in and read its files.

    Args:
        request: The request, its body not yet read.
        name: The form's field that holds files.
        most: How many there may be.

    Returns:
        The files, and the request's place; whoever gets it has to give it back.

    Raises:
        ProblemError: The service has no place for it, or the body is not what it must be.
    """
    service = get_context(request)
    ticket = service.concurrency_limit.enter()
    try:
        return await receive_files(request, name, most, service.settings.limits, ticket), ticket
    except BaseException:
        ticket.leave()
        raise
