"""Parsing of multipart forms in memory within limits; nothing is written to disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from brainslice.service.concurrency_limit import RequestSlot
from brainslice.service.problems import ErrorCode, FieldError, ProblemError
from brainslice.service.settings import Limits

_FORM: Final = b"multipart/form-data"
_MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file.

    Attributes:
        name: Its name without folders, only used in the response.
        data: Its bytes.
    """

    name: str = field(repr=False)
    data: bytes = field(repr=False)


async def receive_files(
    request: Request, name: str, most: int, limits: Limits, slot: RequestSlot
) -> list[UploadedFile]:
    """Receive the files in one field of a form, at least one and at most ``most``.

    Args:
        request: The request, its body not yet read.
        name: The field; others are ignored.
        most: The maximum number of files.
        limits: Limits of size and time.
        slot: The request's slot, which counts the bytes.

    Raises:
        ProblemError: The body is no form, incomplete, slow, too large, or without the field.
    """
    boundary = _boundary_of(request)
    _check_content_length(request, limits)
    form = _Form(name, most, limits, slot)
    try:
        await form.read(boundary, request.stream())
    except TimeoutError:
        rate = f"in {limits.upload_seconds:g} seconds, and faster than {limits.upload_rate:,} bytes a second"
        raise ProblemError(ErrorCode.SLOW_UPLOAD, f"the upload must arrive {rate}; use a faster connection") from None
    if not form.files:
        fault = "holds no file; send at least one"
        raise ProblemError(ErrorCode.BAD_VALUE, f"the field {name!r} {fault}", [FieldError(name, fault)])
    return form.files


def _boundary_of(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind.lower() != _FORM or not boundary:
        raise ProblemError(
            ErrorCode.WRONG_TYPE, "the body must be multipart/form-data with a boundary; send files as a form"
        )
    return boundary


def _check_content_length(request: Request, limits: Limits) -> None:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limits.request_bytes:
        detail = f"a request must hold at most {limits.request_bytes:,} bytes, got {length}; send fewer files"
        raise ProblemError(ErrorCode.TOO_LARGE, detail)


class _Form:
    """Parser callbacks that keep the files of one field."""

    def __init__(self, name: str, most: int, limits: Limits, slot: RequestSlot) -> None:
        self.files: list[UploadedFile] = []
        self._field = name
        self._most = most
        self._limits = limits
        self._slot = slot
        self._ended = False
        self._header = [b"", b""]
        self._disposition = b""
        self._name: str | None = None
        self._data = bytearray()

    async def read(self, boundary: bytes, stream: AsyncIterator[bytes]) -> None:
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add,
                    "on_part_end": self._end,
                    "on_end": self._finish,
                },
            )
            seconds, longest = self._limits.stall_seconds, self._limits.upload_seconds
            async with asyncio.timeout(min(seconds, longest)) as timer:
                start = asyncio.get_running_loop().time()
                async for chunk in stream:
                    self._slot.hold(len(chunk))
                    parser.write(chunk)
                    # The time limit grows with the bytes received, so that slow bodies lose their slot.
                    seconds += len(chunk) / self._limits.upload_rate
                    timer.reschedule(start + min(seconds, longest))
            parser.finalize()
        except (FormParserError, ClientDisconnect):
            raise _broken_form() from None
        if not self._ended:
            raise _broken_form()

    def _begin(self) -> None:
        self._header, self._disposition, self._name = [b"", b""], b"", None
        self._data = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _end_header(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name", b"").decode("utf-8", "replace") != self._field:
            return
        if len(self.files) >= self._most:
            detail = f"a request must hold at most {self._most} files, got more; send them in several"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self._name = plain_name(options.get(b"filename", b"")) or f"file {len(self.files) + 1}"

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            return
        if len(self._data) + end - start > self._limits.file_bytes:
            detail = f"a file must hold at most {self._limits.file_bytes:,} bytes, got more; export the slice alone"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self._data += data[start:end]

    def _end(self) -> None:
        if self._name is not None:
            self.files.append(UploadedFile(self._name, bytes(self._data)))
        self._name, self._data = None, bytearray()

    def _finish(self) -> None:
        self._ended = True


def _broken_form() -> ProblemError:
    return ProblemError(
        ErrorCode.BAD_UPLOAD, "the body must be a complete multipart form, got something else; send it again"
    )


def plain_name(name: bytes | str) -> str:
    """Return a file name without folders, printable and of limited length."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    last = text.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in last)[:_MAX_NAME]
