from __future__ import annotations

from playwright.sync_api import Page, expect


def load_sample(page: Page) -> None:
    page.get_by_role("button", name="Load a sample").click()
    expect(page.locator("tr[data-symbol]")).to_have_count(3)


def price(page: Page, symbol: str):
    return page.locator(f'tr[data-symbol="{symbol}"] [data-f=price]')


def all_prices_are_there(page: Page) -> None:
    """Of a sample that was just loaded some may still be on their way."""
    expect(page.locator("tr[data-symbol] [data-f=price]", has_text=".")).to_have_count(3)


def price_that_moves(page: Page, symbol: str) -> None:
    """Two different prices are seen, one after the other."""
    expect(price(page, symbol)).to_contain_text(".")
    first = price(page, symbol).text_content()
    expect(price(page, symbol)).not_to_have_text(first)


def test_a_newcomer_gets_to_moving_prices_and_stays_in_control(page: Page, alice: str) -> None:
    expect(page.get_by_role("heading", name="Watch your first ticker")).to_be_visible()
    load_sample(page)
    expect(page.locator("[data-limit]")).to_have_text("3 of 5 tickers")
    price_that_moves(page, "AAPL")
    expect(page.locator(".tool-row [data-age]")).to_have_attribute("data-age", "replay")

    page.get_by_role("button", name="Remove IBM").click()
    expect(page.locator("tr[data-symbol]")).to_have_count(2)
    expect(page.locator("[data-limit]")).to_have_text("2 of 5 tickers")
    page.get_by_role("button", name="Undo: IBM removed").click()
    expect(page.locator("tr[data-symbol]")).to_have_count(3)
    price_that_moves(page, "IBM")

    page.get_by_role("button", name="Pause live updates").click()
    expect(page.locator("[data-age-words]")).to_contain_text("Paused since")
    page.reload()
    expect(page.get_by_role("button", name="Resume live updates")).to_be_visible()
    expect(page.locator("[data-age-words]")).to_contain_text("Paused since")
    page.get_by_role("button", name="Resume live updates").click()
    price_that_moves(page, "AAPL")

    page.get_by_role("button", name="Switch to dark theme").click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == "rgb(13, 16, 20)"


def test_while_paused_no_price_moves(page: Page, alice: str) -> None:
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda text: frames.append(str(text))))
    load_sample(page)
    price_that_moves(page, "AAPL")
    page.get_by_role("button", name="Pause live updates").click()
    before = page.locator("[data-f=price]").all_text_contents()
    heard = len(frames)

    while not any('"heartbeat"' in text for text in frames[heard:]):  # the connection goes on
        page.wait_for_timeout(50)

    assert page.locator("[data-f=price]").all_text_contents() == before


def test_a_ticker_is_found_and_added_with_the_keyboard_alone(page: Page, alice: str) -> None:
    load_sample(page)
    page.locator("body").press("/")
    expect(page.get_by_role("combobox", name="Search ticker or company")).to_be_focused()
    page.keyboard.type("nvid")
    expect(page.get_by_role("option", name="NVDA")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("NVDA is on your watchlist")).to_be_visible()
    expect(page.locator('tr[data-symbol="NVDA"]')).to_be_visible()
    price_that_moves(page, "NVDA")

    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.type("micro")
    expect(page.get_by_role("option", name="MSFT")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", name="MSFT")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tickers/MSFT/")


def test_the_dialog_says_what_is_wrong_and_what_to_do(page: Page, alice: str, witness) -> None:
    witness.expect("status of 404")
    witness.expect("status of 403")
    load_sample(page)
    for symbol in ["NVDA", "SPY"]:
        add(page, symbol)
        expect(page.locator(f'tr[data-symbol="{symbol}"]')).to_be_visible()

    add(page, "ZZZZZ")
    expect(page.get_by_role("alert")).to_contain_text("There is no ticker ZZZZZ")
    page.get_by_role("dialog").get_by_role("combobox").fill("AMZN")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Your Free plan has room for 5 tickers")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("tr[data-symbol]")).to_have_count(5)


def add(page: Page, text: str) -> None:
    page.get_by_role("link", name="Add ticker").click()
    page.get_by_role("dialog").get_by_role("combobox").fill(text)
    page.keyboard.press("Enter")


def test_rows_are_sorted_and_filtered_and_return_to_their_order(page: Page, alice: str) -> None:
    load_sample(page)
    all_prices_are_there(page)
    price_that_moves(page, "AAPL")
    page.get_by_role("button", name="Pause live updates").click()
    order = symbols(page)

    page.get_by_role("button", name="Ticker", exact=True).click()
    assert symbols(page) == ["AAPL", "IBM", "MSFT"]
    expect(page.locator("th.cell-ticker")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Last, USD").click()
    page.get_by_role("button", name="Last, USD").click()
    assert symbols(page) == ["AAPL", "IBM", "MSFT"]
    expect(page.locator("th.cell-last")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Last, USD").click()
    assert symbols(page) == order

    page.get_by_label("Filter").fill("microsoft")
    expect(page.locator("tr[data-symbol]:visible")).to_have_count(1)
    page.get_by_label("Filter").fill("xyz")
    expect(page.get_by_text("No ticker of your watchlist matches")).to_be_visible()


def symbols(page: Page) -> list[str]:
    return page.locator("tr[data-symbol]").evaluate_all("rows => rows.map(row => row.dataset.symbol)")


def test_nothing_moves_sideways_when_prices_change(page: Page, alice: str) -> None:
    load_sample(page)
    page.wait_for_load_state()
    page.evaluate("document.fonts.ready.then(() => null)")
    all_prices_are_there(page)
    edges = "document.querySelector('tr[data-symbol=AAPL] [data-f=price]').getBoundingClientRect().right"
    before = page.evaluate(edges)
    price_that_moves(page, "AAPL")

    assert page.evaluate(edges) == before
