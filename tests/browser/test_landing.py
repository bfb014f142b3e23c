from __future__ import annotations

from playwright.sync_api import Page, expect


def test_a_visitor_sees_prices_move_without_logging_in(page: Page) -> None:
    page.goto("/")
    expect(page.locator("tr[data-symbol]")).to_have_count(5)
    shown = page.locator("tr[data-symbol=AAPL] [data-f=price]")
    first = shown.text_content()
    expect(shown).not_to_have_text(first)
    expect(page.locator(".tool-row [data-age]")).to_have_attribute("data-age", "replay")


def test_logging_in_and_out(page: Page, alice: str) -> None:
    page.locator(".nav .account summary").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(lambda url: url.endswith("/") and "watchlist" not in url)
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("E-mail address").fill(f"{alice}@example.com")
    page.get_by_label("Password").fill("wrong-password-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("The e-mail address or the password is not right.")
