from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits
from brainslice.service.uploads import UploadedFile, plain_name, receive_files

BOUNDARY = "b0undary"
SMALL = Limits(file_bytes=100, request_bytes=2000)


def part(data: bytes, name: str = "files", filename: str | None = "a.png") -> bytes:
    told = "" if filename is None else f'; filename="{filename}"'
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'.encode() + data + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def receive(
    chunks: Sequence[bytes],
    limits: Limits = SMALL,
    *,
    most: int = 3,
    kind: str = f"multipart/form-data; boundary={BOUNDARY}",
) -> list[UploadedFile]:
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False

    async def next_message() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    request = Request(scope, next_message)
    return asyncio.run(receive_files(request, "files", most, limits, ConcurrencyLimit(limits).enter()))


def fault(chunks: Sequence[bytes], **options: str) -> ErrorCode:
    with pytest.raises(ProblemError) as caught:
        receive(chunks, **options)
    return caught.value.fault


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=3), st.integers(1, 40))
def test_files_do_not_depend_on_chunks(files: list[bytes], step: int) -> None:
    body = whole(*(part(data, filename=f"{place}.png") for place, data in enumerate(files)))
    found = receive([body[start : start + step] for start in range(0, len(body), step)])
    assert [file.data for file in found] == files
    assert [file.name for file in found] == [f"{place}.png" for place in range(len(files))]


@given(st.binary(max_size=300))
def test_any_body_gives_files_or_a_problem(body: bytes) -> None:
    for sent in (body, whole(body), part(body) + body, b"--" + BOUNDARY.encode() + b"\r\n" + body):
        try:
            assert all(isinstance(file, UploadedFile) for file in receive([sent]))
        except ProblemError as error:
            outcome = error.fault
        else:
            outcome = None
        assert outcome in {None, ErrorCode.BAD_UPLOAD, ErrorCode.BAD_VALUE, ErrorCode.TOO_LARGE}


def test_other_fields_are_ignored() -> None:
    (file,) = receive([whole(part(b"x" * 500, name="other"), part(b"scan"), part(b"1", name="class", filename=None))])
    assert file.data == b"scan"


def test_a_file_without_a_name_gets_one() -> None:
    assert [file.name for file in receive([whole(part(b"x", filename=None), part(b"y", filename=""))])] == [
        "file 1",
        "file 2",
    ]


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b0undary"])
def test_other_content_types_are_refused(kind: str) -> None:
    assert fault([whole(part(b"x"))], kind=kind) is ErrorCode.WRONG_TYPE


def test_incomplete_forms_are_refused() -> None:
    body = whole(part(b"x" * 50))
    assert {fault([body[:end]]) for end in (1, 20, 90, len(body) - 6)} == {ErrorCode.BAD_UPLOAD}


def test_upload_limits() -> None:
    assert fault([whole(part(b"x" * 101))]) is ErrorCode.TOO_LARGE
    assert fault([whole(*[part(b"x")] * 4)]) is ErrorCode.TOO_LARGE
    assert fault([whole(part(b"x" * 2000, name="other"))]) is ErrorCode.TOO_LARGE


def test_content_length_beyond_the_limit_is_refused_early() -> None:
    async def never() -> Message:
        msg = "nothing must be read"
        raise AssertionError(msg)

    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode()), (b"content-length", b"2001")]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, never)
    with pytest.raises(ProblemError) as caught:
        asyncio.run(receive_files(request, "files", 3, SMALL, ConcurrencyLimit(SMALL).enter()))
    assert caught.value.fault is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("limits", [Limits(upload_seconds=0.01), Limits(stall_seconds=0.01)], ids=["whole", "start"])
def test_slow_uploads_are_refused(limits: Limits) -> None:
    async def slow() -> Message:
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, slow)
    with pytest.raises(ProblemError) as caught:
        asyncio.run(receive_files(request, "files", 3, limits, ConcurrencyLimit(limits).enter()))
    assert caught.value.fault is ErrorCode.SLOW_UPLOAD


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (b"a.png", "a.png"),
        (b"/x/../a.png", "a.png"),
        (b"C:\\x\\a.png", "a.png"),
        (b"a\nb.png", "a\ufffdb.png"),
        (b"\xff", "\ufffd"),
    ],
)
def test_plain_name_is_the_last_part_of_a_path(told: bytes, kept: str) -> None:
    assert plain_name(told) == kept


@given(st.text())
def test_plain_name_is_short_and_printable(text: str) -> None:
    name = plain_name(text)
    assert len(name) <= 200
    assert name.isprintable()
    assert not {"/", "\\"} & set(name)


def test_repr_hides_name_and_data() -> None:
    assert "Doe" not in repr(UploadedFile("Doe.png", b"pixels"))
    assert "pixels" not in repr(UploadedFile("Doe.png", b"pixels"))


def test_refused_requests_release_their_slot(client: TestClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for content in (b"", b"--x\r\nbroken", b"--x--\r\n"):
        assert 400 <= client.post("/predict", content=content, headers=kind).status_code < 500
    admission = client.app.state.service.concurrency_limit
    assert (admission.requests, admission.held_bytes) == (0, 0)
