"""News, earnings and analyses as people meet them; and that nothing a stranger wrote becomes more than text."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.news_data import HOSTILE, MARKDOWN
from tests.browser.site import Site
from tests.browser.test_access import WITHOUT_SCRIPT, is_too_wide, violations
from tests.browser.test_watchlist import load_sample

PAGES = [
    "/news/",
    "/news/?all",
    "/news/?ticker=SPY",
    "/tickers/AAPL/?tab=news",
    "/tickers/AAPL/?tab=earnings",
    "/tickers/AAPL/?tab=analyses",
    "/tickers/IBM/?tab=earnings",
]
BOTH = [{"color_scheme": "light"}, {"color_scheme": "dark"}]
SOON_MS = 60_000
# How often the page asks must not be waited for.
ASK_SOON = (
    "window.setInterval = ((real) => (act, ms) => real(act, ms === 60000 ? 300 : ms))(window.setInterval)"
)
OPEN_ALL = "for (const one of document.querySelectorAll('main details.disclose')) one.open = true"
NOT_OURS = """(evil) => {
  const isAsked = ({ name, value }) => name.startsWith("on") || value.includes(evil);
  const active = "img, script:not([type='application/json']), iframe, object";
  const isTold = (one) => one.matches(active) || [...one.attributes].some(isAsked);
  return [...document.querySelectorAll("main *")].filter(isTold).map((one) => one.outerHTML);
}"""


def do(site: Site, act: str) -> None:
    site.manage("shell", "-v", "0", "-c", f"from tests.browser import news_data; news_data.{act}")


@pytest.fixture(scope="module", autouse=True)
def planted(site: Site) -> None:
    do(site, "plant()")


@pytest.fixture
def reader(page: Page, alice: str) -> str:
    """Watches AAPL, MSFT and IBM."""
    load_sample(page)
    return alice


@pytest.mark.parametrize("context", BOTH, indirect=True)
def test_axe_finds_nothing_on_the_pages_of_news(page: Page, reader: str) -> None:
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.evaluate(OPEN_ALL)
        assert (path, violations(page)) == (path, [])


@pytest.mark.parametrize(
    "context",
    [{"viewport": {"width": width, "height": 780}} for width in (320, 360, 768, 1024)],
    indirect=True,
)
def test_no_page_of_news_scrolls_sideways(page: Page, reader: str) -> None:
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.evaluate(OPEN_ALL)
        assert (path, is_too_wide(page)) == (path, False)


@pytest.mark.parametrize("path", ["/news/", "/tickers/AAPL/?tab=news", "/tickers/AAPL/?tab=earnings"])
def test_what_a_stranger_or_a_model_wrote_is_text(path: str, page: Page, reader: str) -> None:
    """No element of it, no address in an attribute, and (the witness sees to that) no request to another host."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.evaluate(OPEN_ALL)

    expect(page.locator("main")).to_contain_text(HOSTILE)
    expect(page.locator("main")).to_contain_text(MARKDOWN)
    assert page.evaluate(NOT_OURS, "evil.example") == []
    expect(page).not_to_have_title(re.compile("^[12]$"))


def test_news_is_reached_by_the_navigation_and_filtered_by_ticker(page: Page, reader: str) -> None:
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="News").click()
    expect(page.get_by_role("heading", name="News", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="IBM opens a laboratory in Zurich")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^Pre-orders"))).to_be_visible()

    page.get_by_role("navigation", name="Which news").get_by_role("link", name="IBM").click()
    expect(page.get_by_role("heading", name="News of IBM")).to_be_visible()
    expect(page.get_by_role("heading", name="IBM opens a laboratory in Zurich")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^Pre-orders"))).to_have_count(0)


def test_key_points_open_by_the_keyboard(page: Page, reader: str) -> None:
    page.goto("/news/?ticker=AAPL")
    article = page.locator(".article", has_text="Pre-orders for the new tablet")
    expect(article.get_by_text("Delivery in three weeks")).to_be_hidden()

    article.locator("summary").focus()
    page.keyboard.press("Enter")

    expect(article.get_by_text("Delivery in three weeks")).to_be_visible()


def test_the_original_opens_in_a_tab_of_its_own_and_is_told_nothing(page: Page, reader: str) -> None:
    page.goto("/news/?ticker=AAPL")

    link = page.get_by_role("link", name=re.compile("^Pre-orders"))

    expect(link).to_have_attribute("href", "https://news.example/tablet?a=1&b=2")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_new_articles_are_told_and_nothing_that_is_read_moves(page: Page, reader: str, site: Site) -> None:
    page.add_init_script(ASK_SOON)
    page.goto("/news/?ticker=AAPL")
    first = page.locator(".article-title").first.text_content()

    do(site, "add_article('AAPL', 'A second tablet is shown')")

    hint = page.get_by_role("link", name="1 new article: show it")
    expect(hint).to_be_visible(timeout=SOON_MS)
    assert page.locator(".article-title").first.text_content() == first
    hint.click()
    expect(page.locator(".article-title").first).to_contain_text("A second tablet is shown")


def test_a_server_that_does_not_answer_is_told(page: Page, reader: str, witness) -> None:
    witness.expect("Failed to load resource")
    page.add_init_script(ASK_SOON)
    page.goto("/news/")
    expect(page.locator("[data-checked]")).to_contain_text(re.compile(r"^Checked at \d\d:\d\d\.$"))

    page.route("**/news/?after=*", lambda route: route.abort())

    told = page.locator("[data-checked]")
    expect(told).to_contain_text(re.compile("^The server did not answer at"), timeout=SOON_MS)
    expect(page.locator(".article").first).to_be_visible()


def test_a_text_is_followed_until_it_is_written(page: Page, reader: str, site: Site) -> None:
    do(site, "queue('MSFT')")
    page.goto("/tickers/MSFT/?tab=analyses")
    progress, card = page.locator("[data-progress]"), page.locator("[data-card=basic]")
    card.get_by_text("Inputs and formula").click()
    expect(progress).to_have_text("New texts: 1 queued.", timeout=SOON_MS)

    do(site, "begin('MSFT')")
    expect(progress).to_have_text("New texts: 1 being written.", timeout=SOON_MS)
    expect(card).to_contain_text("A new text is being written")

    do(site, "end('MSFT', 'It is neither cheap nor dear.')")
    expect(progress).to_have_text("All texts are up to date.", timeout=SOON_MS)
    expect(card).to_contain_text("It is neither cheap nor dear.")
    expect(card).to_contain_text("Reasoning by gpt-6-luna")
    expect(card.get_by_role("rowheader", name="Price", exact=True)).to_be_visible()  # still open


def test_refresh_answers_without_leaving_the_page_and_keeps_the_focus(page: Page, reader: str) -> None:
    page.goto("/tickers/AAPL/?tab=analyses")
    page.evaluate("window.isSamePage = true")

    page.get_by_role("button", name="Refresh").click()

    expect(page.locator("[data-toasts]")).to_contain_text("No language model is connected")
    expect(page.get_by_role("button", name="Refresh")).to_be_focused()
    assert page.evaluate("window.isSamePage")


@pytest.mark.parametrize("context", [WITHOUT_SCRIPT], indirect=True)
def test_all_of_it_works_without_a_script(page: Page, reader: str) -> None:
    page.goto("/news/")
    page.get_by_role("link", name="MSFT", exact=True).first.click()
    expect(page.get_by_role("heading", name="News of MSFT")).to_be_visible()

    page.goto("/tickers/AAPL/")
    page.get_by_role("link", name="Earnings").click()
    expect(page.get_by_role("heading", name="Earnings call of the third quarter 2031")).to_be_visible()
    page.get_by_role("link", name="Q4 2030").click()
    expect(page.get_by_role("heading", name="Q4 2030")).to_be_visible()
    page.get_by_text(re.compile("^Transcript, ")).click()
    expect(page.get_by_text("We had a strong quarter in every region").first).to_be_visible()

    page.get_by_role("link", name="Analyses").click()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text("No language model is connected")).to_be_visible()
    expect(page.locator("[data-card=dcf]")).to_contain_text("Comes with the Expert plan.")

    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("region", name="Bars as a table")).to_be_visible()


def test_a_visitor_reads_the_news_of_the_demo_tickers(page: Page) -> None:
    page.goto("/news/")
    expect(page.get_by_role("link", name="Demo tickers")).to_have_attribute("aria-current", "true")
    page.goto("/tickers/AAPL/?tab=earnings")
    expect(page.get_by_role("heading", name="Key metrics")).to_be_visible()
