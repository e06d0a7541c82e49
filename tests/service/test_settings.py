from __future__ import annotations

import pytest

from brainslice.errors import UsageError
from brainslice.service.settings import Batching, Limits, Settings, is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "scans.example.org"])  # noqa: S104 - that is the point
def test_other_hosts_need_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="token"):
        Settings(host=host)
    assert Settings(host=host, token="x" * 16).token


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "[::1]", "127.9.9.9"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).on_loopback


@pytest.mark.parametrize("host", ["", "127.0.0.1.example.org", "localhost.example.org", "1.2.3.4"])
def test_names_similar_to_loopback_need_a_token(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("token", ["short", "with space in the middle", "ñandú-ñandú-ñandú-ñandú", ""])
def test_weak_tokens_are_refused(token: str) -> None:
    with pytest.raises(UsageError, match="16"):
        Settings(token=token)


def test_repr_hides_the_token() -> None:
    assert "sesame" not in repr(Settings(token="open-sesame-open-sesame"))  # noqa: S106 - of this test only


@pytest.mark.parametrize("port", [-1, 65_536])
def test_invalid_ports_are_refused(port: int) -> None:
    with pytest.raises(UsageError, match="port"):
        Settings(port=port)


@pytest.mark.parametrize("name", ["files", "file_bytes", "request_bytes", "memory_bytes", "requests"])
def test_invalid_limits_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name.replace("_", " ")):
        Limits(**{name: 0})


@pytest.mark.parametrize("wrong", [{"size": 0}, {"threads": 0}, {"batches": 0}])
def test_invalid_batching_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Batching(**wrong)


@pytest.mark.parametrize(
    "origin", ["*", "null", "viewer.example.org", "https://viewer.example.org/", "https://a.org/x"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(UsageError, match="https://host:8443"):
        Settings(origins=(origin,))
    assert Settings(origins=("https://viewer.example.org", "http://127.0.0.1:3000")).origins
