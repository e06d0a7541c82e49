from __future__ import annotations

from starlette.testclient import TestClient


def test_a_request_that_is_refused_gives_its_place_back(client: TestClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for content in (b"", b"--x\r\nbroken", b"--x--\r\n"):
        assert 400 <= client.post("/predict", content=content, headers=kind).status_code < 500
    admission = client.app.state.service.concurrency_limit
    assert (admission.requests, admission.held_bytes) == (0, 0)
