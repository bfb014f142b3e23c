from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.site import Site
from tests.servers import browser_path

PASSWORD = "correct-horse-7"
QUIET = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    *["--disable-component-update", "--disable-sync"],
]
_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker("browser")
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = browser_path()
    if path is None:
        pytest.skip("no browser found")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield found
        found.close()


@pytest.fixture(scope="package")
def site(browser: Browser) -> Iterator[Site]:
    site = Site()
    try:
        site.start()
        yield site
    finally:
        site.stop()


class Witness:
    """Notes what no page of ours may do: errors in the console, requests to another host."""

    def __init__(self, site: Site) -> None:
        self.ours = (site.url, f"ws://127.0.0.1:{site.port}", "data:", "blob:")
        self.seen: list[str] = []
        self.expected: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        context.on("console", lambda message: message.type == "error" and self.note(message.text))
        context.on("weberror", lambda error: self.note(str(error.error)))
        context.on("request", lambda request: request.url.startswith(self.ours) or self.note(request.url))

    def note(self, text: str) -> None:
        self.seen.append(text)

    def expect(self, part: str) -> None:
        """A refused request shows up in the browser's console; the test says which it means."""
        self.expected.append(part)

    @property
    def complaints(self) -> list[str]:
        return [text for text in self.seen if not any(part in text for part in self.expected)]


@pytest.fixture
def witness(site: Site) -> Iterator[Witness]:
    witness = Witness(site)
    yield witness
    assert witness.complaints == []


@pytest.fixture
def context(
    browser: Browser, site: Site, witness: Witness, request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    """Options by `@pytest.mark.parametrize("context", [{...}], indirect=True)`."""
    options = {
        "base_url": site.url,
        "viewport": {"width": 1280, "height": 800},
        **getattr(request, "param", {}),
    }
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    witness.watch(context)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def alice(page: Page) -> str:
    """A new free user, logged in, in front of an empty watchlist; her name."""
    name = f"alice{next(_numbers)}"
    page.goto("/account/signup/")
    page.get_by_label("E-mail address").fill(f"{name}@example.com")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/watchlist/")
    return name
