"""Prices come by WebSocket, by Server-Sent Events or by polling; whichever way, they are the same."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.site import Site
from tests.browser.test_watchlist import load_sample, price, price_that_moves
from tests.browser.ways import (
    FALLEN_MS,
    NO_EVENTSOURCE,
    NO_WEBSOCKET,
    QUOTES,
    STREAM,
    Gate,
    open_details,
    way,
)

# Both note it from the beginning of the page on, and by its own clock.
SAID = """window.said = [];
const told = ({ target }) => target.matches?.("[data-live-said]") && said.push(target.textContent);
new MutationObserver((changes) => changes.forEach(told)).observe(document, { childList: true, subtree: true });"""
POLLS = """window.polls = [];
const realFetch = window.fetch;
window.fetch = async (address, ...how) => {
  const poll = { begun: performance.now() };
  if (String(address).includes("/api/v1/quotes/")) polls.push(poll);
  const answer = await realFetch(address, ...how);
  Object.assign(poll, { answered: performance.now(), status: answer.status });
  return answer;
};"""
HELD = """() => {
  const refused = polls.find(({ status }) => status === 429);
  return polls.find(({ begun }) => begun > refused.answered).begun - refused.answered;
}"""


def prices(page: Page) -> list[str]:
    return page.locator("[data-f=price]").all_text_contents()


@pytest.fixture
def tape(site: Site):
    """Whatever a test does to it, it goes on afterwards."""
    yield site
    site.go_on("tape")


def become_equal(pages: list[Page]) -> bool:
    """Whether they do while the tape is quiet: a poll comes every 5 s, and after 15 s it would buy a newer price."""
    for _ in range(40):
        if prices(pages[0]) == prices(pages[1]) == prices(pages[2]):
            return True
        pages[0].wait_for_timeout(250)
    return False


def test_every_way_ends_with_the_same_prices(context: BrowserContext, tape: Site) -> None:
    pages = [context.new_page() for _ in range(3)]
    pages[1].add_init_script(NO_WEBSOCKET)
    pages[2].add_init_script(NO_WEBSOCKET + NO_EVENTSOURCE)
    for page, words in zip(pages, ["Live", "Live over HTTP", "Checking every 5 s"], strict=True):
        page.goto("/")
        expect(way(page)).to_have_text(words, timeout=FALLEN_MS)
        price_that_moves(page, "AAPL")

    for _ in range(3):  # the machine may be too busy to look within 15 s
        tape.suspend("tape")
        if become_equal(pages):
            return
        tape.go_on("tape")
        for page in pages:
            price_that_moves(page, "AAPL")
    pytest.fail(f"{[prices(page) for page in pages]}")


def test_a_proxy_that_closes_every_websocket_is_passed_by_and_left_when_it_lets_through(
    page: Page, witness
) -> None:
    witness.expect("WebSocket connection")
    gate = Gate(page, is_shut=True)
    page.goto("/")
    expect(way(page)).to_have_text("Live over HTTP", timeout=FALLEN_MS)
    price_that_moves(page, "AAPL")
    assert len(gate.sockets) == 2

    gate.is_shut = False
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(way(page)).to_have_text("Live")
    price_that_moves(page, "AAPL")


def test_where_a_websocket_has_worked_it_is_soon_tried_again(page: Page, witness) -> None:
    witness.expect("WebSocket connection")
    page.add_init_script(
        "let asked = 0; Math.random = () => 0.5 + (asked += 1) / 1e6"
    )  # as an id it is unique
    gate = Gate(page)
    page.goto("/")
    expect(way(page)).to_have_text("Live")
    price_that_moves(page, "AAPL")

    gate.is_shut = True
    gate.close(1001)
    expect(way(page)).to_have_text("Live over HTTP", timeout=FALLEN_MS)

    gate.is_shut = False
    expect(way(page)).to_have_text("Live", timeout=FALLEN_MS)
    price_that_moves(page, "AAPL")


def test_where_only_event_streams_get_through_polling_is_left_for_them(page: Page, witness) -> None:
    witness.expect("net::ERR_FAILED")
    page.add_init_script(NO_WEBSOCKET)
    page.route(STREAM, lambda route: route.abort())
    page.goto("/")
    expect(way(page)).to_have_text("Checking every 5 s", timeout=FALLEN_MS)

    page.unroute_all()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(way(page)).to_have_text("Live over HTTP")
    price_that_moves(page, "AAPL")


def test_polling_says_what_it_has_and_is_told_briefly_when_nothing_is_new(
    page: Page, witness, tape: Site
) -> None:
    witness.expect("status of 404")
    page.add_init_script(NO_WEBSOCKET)
    page.route(STREAM, lambda route: route.fulfill(status=404))
    page.goto("/")
    expect(way(page)).to_have_text("Checking every 5 s", timeout=FALLEN_MS)
    tape.suspend("tape")

    with page.expect_response(lambda answer: answer.status == 304, timeout=FALLEN_MS) as answered:
        pass

    assert answered.value.request.headers["if-none-match"]
    assert "symbols=AAPL" in answered.value.url


def test_polling_waits_as_long_as_it_is_told(page: Page, witness) -> None:
    witness.expect("status of 429")
    page.add_init_script(NO_WEBSOCKET + NO_EVENTSOURCE + POLLS)
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=429, headers={"Retry-After": "7"}, body="{}")
        else:
            route.continue_()

    page.route(QUOTES, refuse)
    page.goto("/")
    expect(way(page)).to_have_text("Checking every 5 s", timeout=FALLEN_MS)
    price_that_moves(page, "AAPL")

    assert page.evaluate(HELD) >= 6_999  # a browser's clock is rounded


def test_while_a_tab_is_hidden_it_holds_no_event_stream(page: Page) -> None:
    page.add_init_script(NO_WEBSOCKET)
    page.add_init_script(
        """window.streams = [];
        const Real = window.EventSource;
        window.EventSource = class extends Real { constructor(...how) { super(...how); streams.push(this); } };"""
    )
    page.goto("/")
    expect(way(page)).to_have_text("Live over HTTP", timeout=FALLEN_MS)
    price_that_moves(page, "AAPL")

    page.get_by_role("button", name="Pause live updates").click()
    page.wait_for_function("streams.every((one) => one.readyState === EventSource.CLOSED)")
    page.get_by_role("button", name="Resume live updates").click()
    price_that_moves(page, "AAPL")

    assert "last_event_id=" in page.evaluate("streams.at(-1).url")


def test_a_reconnection_tells_where_it_was_and_that_nothing_was_missed(page: Page) -> None:
    somebody_else = page.context.new_page()  # for whom the server goes on remembering what was
    somebody_else.goto("/")
    price_that_moves(somebody_else, "AAPL")
    gate = Gate(page)
    page.goto("/")
    price_that_moves(page, "AAPL")
    assert page.locator("[data-live-gap]").first.get_attribute("hidden") is not None

    gate.close(1012)
    open_details(page)
    expect(page.locator("[data-live-recovered]").first).to_have_text(
        re.compile(r"\d\d:\d\d, nothing missed"), timeout=FALLEN_MS
    )

    first, *_, second = gate.of_type("subscribe")  # a busy machine may lose another one in between
    assert sorted(second["resume"]) == sorted(first["symbols"])
    assert all(epoch >= 1 and number >= 1 for epoch, number in second["resume"].values())


def test_heartbeats_are_answered_where_the_server_asks(page: Page) -> None:
    gate = Gate(page)
    page.goto("/")

    assert isinstance(gate.hear("ack")[0]["t"], int)


def test_a_change_of_the_way_is_said_once_and_politely(page: Page, witness) -> None:
    witness.expect("WebSocket connection")
    gate = Gate(page, is_shut=True)
    page.add_init_script(SAID)
    page.goto("/")
    assert page.locator("[data-live-said]").get_attribute("role") == "status"
    expect(page.locator("[data-live-said]")).to_have_text("Live over HTTP", timeout=FALLEN_MS)

    gate.is_shut = False
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("[data-live-said]")).to_have_text("Live")

    assert page.evaluate("said") == ["Live over HTTP", "Live"]


def test_a_watched_ticker_that_is_added_comes_over_every_way(page: Page, alice: str) -> None:
    page.add_init_script(NO_WEBSOCKET)
    load_sample(page)
    page.reload()
    expect(way(page)).to_have_text("Live over HTTP", timeout=FALLEN_MS)
    page.get_by_role("link", name="Add ticker").click()
    page.get_by_role("dialog").get_by_role("combobox").fill("NVDA")
    page.keyboard.press("Enter")

    expect(price(page, "NVDA")).to_be_visible()
    price_that_moves(page, "NVDA")
