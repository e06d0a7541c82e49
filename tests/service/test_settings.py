from __future__ import annotations

import pytest

from brainslice.errors import UsageError
from brainslice.service.settings import Batching, Limits, Settings, is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "scans.example.org"])  # noqa: S104 - that is the point
def test_a_network_is_not_listened_to_without_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="token"):
        Settings(host=host)
    assert Settings(host=host, token="x" * 16).token


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "[::1]", "127.9.9.9"])
def test_loopback_needs_none(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).on_loopback


@pytest.mark.parametrize("host", ["", "127.0.0.1.example.org", "localhost.example.org", "1.2.3.4"])
def test_what_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("token", ["short", "with space in the middle", "ñandú-ñandú-ñandú-ñandú", ""])
def test_tokens_that_can_be_guessed_or_not_be_sent_are_refused(token: str) -> None:
    with pytest.raises(UsageError, match="16"):
        Settings(token=token)


def test_a_token_does_not_show_when_settings_are_printed() -> None:
    assert "sesame" not in repr(Settings(token="open-sesame-open-sesame"))  # noqa: S106 - of this test only


@pytest.mark.parametrize("port", [-1, 65_536])
def test_ports_that_do_not_exist_are_refused(port: int) -> None:
    with pytest.raises(UsageError, match="port"):
        Settings(port=port)


@pytest.mark.parametrize("name", ["files", "file_bytes", "request_bytes", "memory_bytes", "requests"])
def test_limits_under_which_nothing_could_be_answered_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name.replace("_", " ")):
        Limits(**{name: 0})


@pytest.mark.parametrize("wrong", [{"size": 0}, {"threads": 0}, {"wait_seconds": -0.1}, {"wait_seconds": float("nan")}])
def test_batches_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Batching(**wrong)
