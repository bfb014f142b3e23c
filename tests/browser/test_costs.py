"""The pages about money: for staff, for everybody, and the one that answers what if."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.costs_data import PASSWORD, STAFF
from tests.browser.site import Site
from tests.browser.test_access import WITHOUT_SCRIPT, is_too_wide, violations

PAGES = [
    "/costs/?days=30",
    "/costs/?by=user",
    "/costs/?by=model",
    "/costs/?days=1",
    "/costs/what-if/?plan=finnhub.free",
    "/costs/me/",
]
BOTH = [{"color_scheme": "light"}, {"color_scheme": "dark"}]


@pytest.fixture(scope="module")
def planted(site: Site) -> None:
    site.manage("shell", "-v", "0", "-c", "from tests.browser.costs_data import plant; plant()")


def log_in(page: Page, name: str) -> None:
    page.goto("/account/login/")
    page.get_by_label("E-mail").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/watchlist/")


@pytest.fixture
def staff(planted, page: Page) -> None:
    log_in(page, STAFF)


@pytest.mark.parametrize("context", BOTH, indirect=True)
def test_axe_finds_nothing_on_the_pages_about_money(page: Page, staff) -> None:
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, violations(page)) == (path, [])


@pytest.mark.parametrize(
    "context",
    [{"viewport": {"width": width, "height": 780}} for width in (320, 360, 768, 1024)],
    indirect=True,
)
def test_no_page_about_money_scrolls_sideways(page: Page, staff) -> None:
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, is_too_wide(page)) == (path, False)


def test_staff_is_led_to_the_costs_and_on_to_what_if(page: Page, staff) -> None:
    page.get_by_role("link", name="Costs", exact=True).first.click()
    expect(page.get_by_role("heading", name="Costs", exact=True)).to_be_visible()
    page.get_by_role("link", name="Provider", exact=True).click()
    expect(page.get_by_role("rowheader", name="massive")).to_be_visible()
    page.get_by_role("link", name="What if").click()
    expect(page.get_by_role("heading", name="What if")).to_be_visible()


def test_the_answer_follows_the_numbers_and_the_sliders(page: Page, staff) -> None:
    page.goto("/costs/what-if/")
    answer = page.locator("[data-answer]")
    expect(answer).to_contain_text("14,160,000")

    page.get_by_role("spinbutton", name="Users").fill("2000")
    expect(answer).to_contain_text("28,320,000")
    expect(page).to_have_url(re.compile("users=2000"))

    slider = page.get_by_role("slider", name="Tickers per user")
    slider.focus()
    slider.press("ArrowRight")
    expect(answer).to_contain_text("31,860,000")
    expect(page.get_by_role("spinbutton", name="Tickers per user")).to_have_value("9")


def test_an_impossible_number_keeps_the_page_and_says_so(page: Page, staff) -> None:
    page.goto("/costs/what-if/")

    page.get_by_role("spinbutton", name="Users").fill("0")

    expect(page.locator("[data-answer]")).to_contain_text("outside of what is possible")


@pytest.mark.parametrize("context", [WITHOUT_SCRIPT], indirect=True)
def test_it_answers_without_a_script(page: Page, staff) -> None:
    page.goto("/costs/what-if/")

    page.get_by_role("spinbutton", name="Users").fill("2000")
    page.get_by_role("button", name="Work it out").click()

    expect(page.locator("[data-answer]")).to_contain_text("28,320,000")


def test_a_user_sees_his_own_costs_and_no_others(page: Page, planted, witness) -> None:
    witness.expect("status of 403")
    log_in(page, "reader6")

    page.goto("/costs/me/")
    expect(page.get_by_role("row")).to_have_count(1 + 8 + 1)  # head, tickers, all
    assert page.goto("/costs/").status == 403
