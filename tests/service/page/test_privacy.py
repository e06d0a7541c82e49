from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from browser import Visit


def test_the_page_asks_no_other_host_for_anything(visiting: Callable[..., Visit], tumour: Path, healthy: Path) -> None:
    visit = visiting(fresh=True).open()
    visit.choose(tumour, healthy)
    visit.page.select_option("#language", "es")
    visit.page.select_option("#theme", "dark")
    for kind in ("json", "png", "html"):
        with visit.page.expect_download():
            visit.page.click(f"#export-{kind}")
    own = urlsplit(visit.address).netloc
    foreign = [
        address for address in visit.requests if not address.startswith("blob:") and urlsplit(address).netloc != own
    ]
    assert len(visit.requests) > 10
    assert foreign == []


def test_the_page_is_sent_with_a_policy_that_lets_nothing_foreign_in(visit: Visit) -> None:
    policy = visit.page.request.get(visit.address).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert "https:" not in policy


def test_the_policy_stops_what_tries_to_leave(visit: Visit) -> None:
    blocked = visit.page.evaluate(
        "async () => { try { await fetch('http://127.0.0.2:9/'); return 'sent'; } catch { return 'blocked'; } }"
    )
    assert blocked == "blocked"
    visit.page.evaluate(
        "const run = document.createElement('script'); run.textContent = 'window.ran = 1'; document.head.append(run)"
    )
    assert visit.page.evaluate("window.ran ?? null") is None


def test_nothing_is_stored_after_a_visit(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    stored = visit.page.evaluate(
        """async () => ({
            local: Object.keys(localStorage), session: Object.keys(sessionStorage), cookies: document.cookie,
            databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length,
            workers: (await navigator.serviceWorker.getRegistrations()).length,
        })"""
    )
    assert stored == {"local": [], "session": [], "databases": 0, "workers": 0, "caches": 0, "cookies": ""}
    assert visit.page.context.cookies() == []


def test_language_and_appearance_are_all_that_is_remembered(visit: Visit, tumour: Path) -> None:
    visit.page.select_option("#language", "es")
    visit.page.select_option("#theme", "dark")
    visit.choose(tumour)
    kept = visit.page.evaluate("({ ...localStorage })")
    assert kept == {"brainslice.language": "es", "brainslice.theme": "dark"}
    visit.page.reload()
    visit.page.wait_for_selector("html[data-ready]")
    assert visit.page.get_attribute("html", "lang") == "es"
    assert visit.page.get_attribute("html", "data-theme") == "dark"
    assert visit.rows() == []


def test_a_browser_that_forbids_storage_can_still_use_the_page(visiting: Callable[..., Visit], tumour: Path) -> None:
    visit = visiting(fresh=True)
    visit.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    visit.open()
    visit.page.select_option("#theme", "dark")
    visit.choose(tumour)
    assert visit.rows() == ["first.png Tumour"]


def test_the_address_never_holds_anything_of_a_scan(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    assert visit.page.url == visit.address
    assert not [address for address in visit.requests if tumour.name in address]
