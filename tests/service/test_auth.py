from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from brainslice.service.settings import Settings

TOKEN = "open-sesame-open-sesame"  # noqa: S105 - of these tests only
MakeClient = Callable[..., TestClient]

BROWSER = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}


def code(client: TestClient, path: str = "/model", **headers: str) -> str:
    answer = client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return "ok" if answer.status_code == 200 else str(answer.json()["code"])


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_a_service_on_loopback_is_called_by_loopback_names(client: TestClient, host: str) -> None:
    assert code(client, host=host) == "ok"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "user@evil.example:8000", "10.0.0.1"]
)
def test_a_name_that_was_made_to_resolve_to_us_is_refused(client: TestClient, host: str) -> None:
    assert code(client, host=host) == "foreign_host"
    assert code(client, "/livez", host=host) == "ok"


def test_requests_of_the_services_own_page_pass(client: TestClient) -> None:
    assert code(client, **BROWSER) == "ok"
    assert code(client, Sec_Fetch_Site="none") == "ok"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "http://["},
    ],
)
def test_requests_of_other_sites_pages_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert code(client, **headers) == "cross_site"


@pytest.mark.parametrize("path", ["/predict", "/explain", "/volume"])
def test_another_sites_form_reaches_nothing(client: TestClient, path: str) -> None:
    answer = client.post(path, files={"files": b"x"}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


def test_without_the_token_nothing_but_probes_and_the_page_is_answered(make_client: MakeClient) -> None:
    client = make_client(Settings(host="0.0.0.0", token=TOKEN))  # noqa: S104 - nothing listens
    paths = ["/model", "/metrics", "/openapi.json", "/nothing", "/volume/x/slices/1"]
    assert {code(client, path) for path in paths} == {"token_needed"}
    assert {code(client, path) for path in ("/livez", "/readyz")} == {"ok"}
    answer = client.post("/predict", files={"files": b"x"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("told", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_the_token_opens(make_client: MakeClient, told: str) -> None:
    client = make_client(Settings(token=TOKEN))
    assert code(client, Authorization=told) == "ok"


@pytest.mark.parametrize("told", ["", TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"])
def test_nothing_else_opens(make_client: MakeClient, told: str) -> None:
    client = make_client(Settings(token=TOKEN))
    assert code(client, Authorization=told) == "token_needed"


def test_behind_a_token_only_named_hosts_are_answered_where_some_are_named(make_client: MakeClient) -> None:
    key = {"Authorization": f"Bearer {TOKEN}"}
    named = make_client(Settings(host="0.0.0.0", token=TOKEN, hosts=("scans.example.org",)))  # noqa: S104
    assert code(named, host="scans.example.org", **key) == "ok"
    assert code(named, host="evil.example", **key) == "foreign_host"
    any_name = make_client(Settings(host="0.0.0.0", token=TOKEN))  # noqa: S104
    assert code(any_name, host="scans.example.org", **key) == "ok"
