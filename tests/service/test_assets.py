from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from brainslice.service.assets import PAGE, POLICY, example_assets, page_assets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "index.html": "<p>" + "words " * 100,
        "a.js": "let a",
        "words/en.json": "{}",
        ".hidden": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_url_paths_of_files(folder: Path) -> None:
    assert set(page_assets(folder)) == {"/", "/a.js", "/words/en.json"}


def test_compressible_files_are_compressed_deterministically(folder: Path) -> None:
    first = page_assets(folder)["/"]
    assert first.compressed is not None
    assert gzip.decompress(first.compressed) == first.content
    assert page_assets(folder)["/"] == first
    assert page_assets(folder)["/a.js"].compressed is None


def test_missing_page_has_no_paths(tmp_path: Path) -> None:
    assert page_assets(tmp_path / "nowhere") == {}


@pytest.mark.skipif(not (PAGE / "index.html").is_file(), reason="the page is not there")
class TestShippedPage:
    def test_it_is_sent_with_a_policy_that_lets_nothing_foreign_in(self, client: TestClient) -> None:
        answer = client.get("/")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        assert "http" not in POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_every_file_of_it_has_the_type_that_browsers_insist_on(self, client: TestClient) -> None:
        kinds = {
            ".js": "text/javascript",
            ".css": "text/css",
            ".svg": "image/svg+xml",
            ".json": "application/json",
            ".png": "image/png",
        }
        for address in page_assets() | example_assets():
            answer = client.get(address)
            assert answer.status_code == 200
            if (suffix := Path(address).suffix) in kinds:
                assert answer.headers["content-type"].startswith(kinds[suffix])

    def test_a_copy_that_is_still_good_is_not_sent_again(self, client: TestClient) -> None:
        first = client.get("/")
        again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert first.headers["cache-control"] == "no-cache"
        assert client.get("/", headers={"If-None-Match": 'W/"other"'}).status_code == 200

    def test_it_is_sent_packed_to_who_unpacks(self, client: TestClient) -> None:
        packed = client.get("/", headers={"Accept-Encoding": "gzip"})
        plain = client.get("/", headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content

    def test_it_names_no_other_host(self) -> None:
        for asset in page_assets().values():
            if asset.compressed is not None:
                text = asset.content.decode()
                assert not re.search(r"""(src|href)=["']?(https?:)?//|url\(\s*["']?https?:|@import""", text)
