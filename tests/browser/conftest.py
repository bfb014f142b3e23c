from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.site import Site
from tests.servers import browser_path

PASSWORD = "correct-horse-7"
QUIET = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    *["--disable-component-update", "--disable-sync"],
]
# For a busy machine. What is awaited costs nothing where it comes sooner.
PATIENT_MS = 30_000
STARTED_WITHIN_MS = 120_000
# A toast stays 10 s, which a busy machine may need until it is read or clicked.
TOASTS_STAY = (
    "window.setTimeout = ((real) => (act, ms, ...more) => real(act, ms === 10000 ? 300000 : ms, ...more))"
    "(window.setTimeout)"
)
_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker("browser")
            item.add_marker(pytest.mark.timeout(600))  # the first one starts the site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = browser_path()
    if path is None:
        pytest.skip("no browser found")
    expect.set_options(timeout=PATIENT_MS)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=QUIET, timeout=STARTED_WITHIN_MS)
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
    context.set_default_timeout(PATIENT_MS)
    context.add_init_script(TOASTS_STAY)
    witness.watch(context)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def alice(page: Page, site: Site) -> str:
    """A new free user, logged in, in front of an empty watchlist; her name."""
    site.forget_limits()
    name = f"alice{next(_numbers)}"
    page.goto("/account/signup/")
    page.get_by_label("E-mail address").fill(f"{name}@example.com")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/watchlist/")
    return name
