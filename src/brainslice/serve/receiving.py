"""From a request to its files, and its place among those in work."""

from __future__ import annotations

from starlette.requests import Request

from brainslice.serve.admission import Ticket
from brainslice.serve.service import service_of
from brainslice.serve.upload import Upload, receive_files


async def receive(request: Request, name: str, most: int) -> tuple[list[Upload], Ticket]:
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
    service = service_of(request)
    ticket = service.admission.enter()
    try:
        return await receive_files(request, name, most, service.settings.limits, ticket), ticket
    except BaseException:
        ticket.leave()
        raise
