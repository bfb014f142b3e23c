"""Alerts as people meet them: two clicks from a ticker, a form that answers, acts that can be undone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_access import WITHOUT_SCRIPT, is_too_wide, violations

PAGES = ["/alerts/", "/alerts/new/?symbol=AAPL", "/notifications/", "/account/channels/", "/tickers/AAPL/"]


def rows(page: Page):
    return page.locator("tr[data-alert]")


def make_alert(page: Page, level: str = "5000", kind: str = "above") -> None:
    """Through the page's own form, so that it is the user's."""
    page.goto("/alerts/new/?symbol=AAPL")
    page.get_by_label("Condition").select_option(kind)
    page.get_by_label("Price or percent").fill(level)
    page.get_by_role("button", name="Create alert").click()
    page.wait_for_url("**/alerts/")


def test_two_clicks_on_the_page_of_a_ticker_make_an_alert(page: Page, alice: str) -> None:
    page.goto("/tickers/AAPL/")
    shown = page.locator("[data-ticker-alerts]")
    page.get_by_role("link", name="Create alert").click()
    expect(shown.get_by_label("Price")).to_be_focused()
    shown.get_by_role("button", name="Create").click()

    expect(shown.get_by_role("link", name=re.compile(r"^Above \d+\.\d\d$"))).to_be_visible()
    expect(page.get_by_text("Alert on AAPL created")).to_be_visible()
    expect(page.locator(".nav [data-alert-count]")).to_have_text("1")
    page.goto("/alerts/")
    expect(rows(page)).to_have_count(1)


def test_what_the_short_form_refuses_is_said_beside_it(page: Page, alice: str, witness) -> None:
    witness.expect("status of 400")
    page.goto("/tickers/AAPL/")
    shown = page.locator("[data-ticker-alerts]")
    shown.get_by_label("Price").fill("sixhundred")
    shown.get_by_role("button", name="Create").click()

    expect(shown.get_by_role("alert")).to_contain_text("Write a number such as 187.50.")


def test_more_options_go_on_with_what_was_typed(page: Page, alice: str) -> None:
    page.goto("/tickers/AAPL/")
    shown = page.locator("[data-ticker-alerts]")
    shown.get_by_label("Tell me when").select_option("crosses_below")
    shown.get_by_label("Price").fill("123.5")
    shown.get_by_role("link", name="More options").click()

    expect(page.get_by_label("Condition")).to_have_value("crosses_below")
    expect(page.get_by_label("Price or percent")).to_have_value("123.5")


@pytest.mark.parametrize("context", [WITHOUT_SCRIPT], indirect=True)
def test_more_options_do_so_without_a_script(page: Page, alice: str) -> None:
    page.goto("/tickers/AAPL/")
    shown = page.locator("[data-ticker-alerts]")
    shown.get_by_label("Price").fill("123.5")
    shown.get_by_role("button", name="More options").click()

    expect(page.get_by_label("Price or percent")).to_have_value("123.5")


def test_the_past_answers_while_the_form_is_filled_in(page: Page, alice: str) -> None:
    page.goto("/alerts/new/")
    answer = page.locator("[data-backtest]")
    expect(answer).to_contain_text("How often would it have fired?")

    page.get_by_label("Ticker", exact=True).fill("AAP")
    page.get_by_role("option", name="AAPL").click()
    page.get_by_label("Price or percent").fill("600")
    expect(answer).to_contain_text(re.compile(r"In the last year this would have fired \d+ times?"))
    expect(answer.locator(".bt-mark").first).to_be_attached()
    expect(answer).to_contain_text("From daily highs and lows")
    expect(page.locator("[data-away]")).to_contain_text(re.compile("(above|below) the last price"))

    before = answer.locator(".bt-figure").first.text_content()
    with page.expect_response(re.compile("/alerts/try/")):
        page.get_by_label("Every time").check()
        page.get_by_label("Re-arm band").fill("5")
    expect(answer).to_contain_text("with a 5\u2009% band")
    assert int(answer.locator(".bt-figure").first.text_content()) < int(before)


@pytest.mark.parametrize(("unit", "level"), [("price", "0"), ("price", "-5"), ("percent", "-100")])
def test_no_distance_is_said_of_what_no_price_can_be(unit: str, level: str, page: Page, alice: str) -> None:
    page.goto("/alerts/new/?symbol=AAPL")
    expect(page.locator("[data-away]")).not_to_be_empty()
    page.get_by_label("Unit").select_option(unit)
    page.get_by_label("Price or percent").fill(level)
    expect(page.locator("[data-away]")).to_be_empty()


def test_no_field_of_a_move_cuts_its_words(page: Page, alice: str) -> None:
    page.goto("/alerts/new/?symbol=AAPL")
    page.get_by_label("Condition").select_option("moves")
    assert min(box.bounding_box()["width"] for box in page.locator(".for-move .input").all()) >= 150


def test_only_the_fields_of_the_chosen_condition_are_shown(page: Page, alice: str) -> None:
    page.goto("/alerts/new/")
    kinds = {
        "above": "Price or percent",
        "leaves_channel": "From",
        "moves": "Within",
        "volume": "Times the average",
        "stale": "After",
    }
    for kind, label in kinds.items():
        page.get_by_label("Condition").select_option(kind)
        for other in kinds.values():
            field = page.get_by_label(other, exact=True)
            expect(field).to_be_visible() if other == label else expect(field).to_be_hidden()
    expect(page.get_by_label("Re-arm band")).to_be_hidden()
    page.get_by_label("Every time").check()
    expect(page.get_by_label("Re-arm band")).to_be_visible()


def test_deleting_is_undone_within_the_toast(page: Page, alice: str) -> None:
    make_alert(page)
    make_alert(page, "6000")
    page.get_by_label("Actions of AAPL is above 6000.00").click()
    rows(page).first.get_by_role("button", name="Delete").click()
    expect(rows(page)).to_have_count(1)

    page.get_by_role("button", name=re.compile("Undo: Alert on AAPL deleted")).click()
    expect(rows(page)).to_have_count(2)


def test_several_are_paused_at_once(page: Page, alice: str) -> None:
    for level in ["5000", "6000", "7000"]:
        make_alert(page, level)
    pause = page.locator("[data-bulk]").get_by_role("button", name="Pause")
    expect(pause).to_be_disabled()

    for mark in page.get_by_role("checkbox", name=re.compile("^Mark")).all()[:2]:
        mark.check()
    expect(page.get_by_text("2 marked")).to_be_visible()
    pause.click()

    expect(page.locator("[data-alert-state=paused]")).to_have_count(2)
    expect(page.get_by_text("2 alerts paused")).to_be_visible()


def test_the_list_and_the_card_follow_what_happens_elsewhere_and_keep_the_focus(
    page: Page, alice: str
) -> None:
    make_alert(page)
    other = page.context.new_page()
    other.goto("/tickers/AAPL/")
    kept = rows(page).get_by_role("checkbox")
    kept.focus()
    node = kept.element_handle()
    make_alert(other, "6000")
    expect(rows(page)).to_have_count(2)
    assert node.evaluate("(one) => one === document.activeElement")

    page.goto("/tickers/AAPL/")
    page.get_by_label("Price", exact=True).evaluate("(one) => { one.value = '7' }")
    other.goto("/alerts/")
    other.get_by_label("Actions of AAPL is above 6000.00").click()
    other.get_by_role("button", name="Pause").and_(other.locator(".menu-item:visible")).click()
    expect(page.locator("[data-ticker-alerts]")).to_contain_text("Paused")
    expect(page.get_by_label("Price", exact=True)).to_have_value("7")


def test_what_is_marked_is_left_alone(page: Page, alice: str) -> None:
    make_alert(page)
    page.get_by_role("checkbox", name=re.compile("^Mark")).check()
    other = page.context.new_page()
    make_alert(other, "6000")
    asked = []
    page.on("request", lambda request: "x-fragment" in request.headers and asked.append(request.url))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.evaluate("fetch('/alerts/').then((answer) => answer.text())")
    assert asked == []
    expect(rows(page)).to_have_count(1)
    page.get_by_role("checkbox", name=re.compile("^Mark")).uncheck()
    expect(rows(page)).to_have_count(2)


@pytest.mark.parametrize("context", [WITHOUT_SCRIPT], indirect=True)
def test_alerts_work_without_a_script(page: Page, alice: str) -> None:
    make_alert(page)
    expect(page.get_by_text("Alert on AAPL created")).to_be_visible()
    page.get_by_label(re.compile("^Actions of AAPL")).click()
    page.get_by_role("button", name="Snooze for an hour").click()
    expect(page.locator("[data-alert-state=snoozed]")).to_have_count(1)

    page.get_by_role("checkbox").check()
    page.locator("[data-bulk]").get_by_role("button", name="Delete").click()
    expect(rows(page)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(rows(page)).to_have_count(1)

    page.goto("/alerts/new/?symbol=AAPL")
    page.get_by_role("button", name="Try on the past").click()
    expect(page.locator("[data-backtest]")).to_contain_text("this would have fired")


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_axe_finds_nothing_on_these_pages(page: Page, alice: str) -> None:
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, violations(page)) == (path, [])
    make_alert(page)
    page.get_by_label(re.compile("^Actions of AAPL")).click()
    assert violations(page) == []
    page.get_by_role("link", name="Edit and history").click()
    page.wait_for_url(re.compile(r"/alerts/\d+/"))
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


@pytest.mark.parametrize(
    "context",
    [{"viewport": {"width": width, "height": 780}} for width in (320, 360, 768, 1024, 1280)],
    indirect=True,
)
def test_none_of_these_pages_scrolls_sideways(page: Page, alice: str) -> None:
    make_alert(page)
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, is_too_wide(page)) == (path, False)
