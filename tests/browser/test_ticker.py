from __future__ import annotations

import re

from playwright.sync_api import Page, expect

# Waits in the page: what `wait_for_function` is given a promise of counts as come true at once.
IN_USE = """async () => {
    for (const end = Date.now() + 30000; ; await new Promise((then) => setTimeout(then, 100))) {
        const { in_use: inUse } = await (await fetch("/api/v1/watchlist/")).json();
        if (inUse === 0 || Date.now() > end) return inUse;
    }
}"""


def test_the_page_shows_a_chart_that_moves_with_the_price(page: Page, alice: str) -> None:
    page.goto("/tickers/AAPL/")
    shown = page.locator(".quote-line [data-f=price]")
    first = shown.text_content()
    expect(shown).not_to_have_text(first)
    expect(page.locator("[data-chart] canvas").first).to_be_visible()
    expect(page.locator("[data-summary]")).to_contain_text(re.compile("AAPL (rose|fell) .* in three months"))

    close = page.locator("[data-bar=close]")
    before = close.text_content()
    expect(close).not_to_have_text(before)


def test_each_range_has_its_bars_its_sentence_and_its_table(page: Page, alice: str) -> None:
    page.goto("/tickers/AAPL/")
    for name, words in [("1M", "in a month"), ("5Y", "in five years"), ("1D", "in a day")]:
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("[data-summary]")).to_contain_text(words)
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")

    page.get_by_role("button", name="1M", exact=True).click()
    expect(page.locator("[data-summary]")).to_contain_text("in a month")
    page.get_by_role("button", name="Table").click()
    expect(page.locator("[data-plot]")).to_be_hidden()
    assert 15 <= page.locator("[data-bars] tbody tr").count() <= 24
    expect(page.locator("[data-bars] tbody tr").first).to_contain_text(
        re.compile("201[23]")
    )  # as it is replayed


def test_watching_and_no_longer_watching_can_be_undone(page: Page, alice: str) -> None:
    page.goto("/tickers/AAPL/")
    page.get_by_role("button", name="Watch AAPL").click()
    expect(page.get_by_role("button", name="Watching AAPL")).to_be_focused()
    expect(page.locator(".nav [data-in-use]")).to_have_text("1")
    page.get_by_role("button", name="Watching AAPL").click()
    expect(page.get_by_role("button", name="Watch AAPL")).to_be_visible()
    page.get_by_role("button", name=re.compile("Undo")).click()
    expect(page.get_by_role("button", name="Watching AAPL")).to_be_visible()


def test_a_visitor_sees_the_chart_of_a_demo_ticker(page: Page) -> None:
    page.goto("/tickers/MSFT/")
    expect(page.locator("[data-summary]")).to_contain_text("in three months")
    expect(page.get_by_role("link", name="Sign up to watch MSFT")).to_be_visible()


def test_a_ticker_beyond_the_plan_is_shown_but_said_not_to_be_live(page: Page, alice: str) -> None:
    for symbol in ["AAPL", "MSFT", "IBM", "GOOG", "SPY"]:
        page.goto(f"/tickers/{symbol}/")
        page.get_by_role("button", name=f"Watch {symbol}").click()
        expect(page.get_by_role("button", name=f"Watching {symbol}")).to_be_visible()

    page.goto("/tickers/AMZN/")
    expect(page.locator("[data-strip-title]")).to_have_text("Not live: AMZN")
    expect(page.locator("[data-strip-text]")).to_contain_text("Your Free plan has room for 5 tickers")


def test_a_ticker_that_was_only_looked_at_takes_no_place_afterwards(page: Page, alice: str) -> None:
    for symbol in ["NVDA", "AMZN"]:
        page.goto(f"/tickers/{symbol}/")
        expect(page.locator("[data-age]")).to_have_attribute("data-age", "simulated")

    page.goto("/watchlist/")

    assert page.evaluate(IN_USE) == 0


def test_dividends_and_splits_are_told_beside_the_chart(page: Page, alice: str) -> None:
    """And marked in it, which a canvas does not tell; that nothing fails there is watched for every page."""
    with page.expect_response(re.compile("/api/v1/tickers/IBM/actions/")) as answered:
        page.goto("/tickers/IBM/")
    assert len(answered.value.json()["results"]) >= 40
    told = page.get_by_role("region", name="Dividends and splits")
    expect(told.locator("tbody tr").first).to_contain_text(re.compile(r"201[23].*Dividend.*0\.\d\d USD"))
    page.get_by_role("button", name="5Y", exact=True).click()
    expect(page.locator("[data-summary]")).to_contain_text("in five years")
