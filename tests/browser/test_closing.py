"""What a page does when the server ends its connection, by close code."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.test_watchlist import load_sample, price_that_moves
from tests.browser.ways import FALLEN_MS, NO_WEBSOCKET, STREAM, Gate, end, often, open_details, way

# Counts in the page itself, where nothing is still on its way.
WATCH = """window.attempts = window.ends = 0;
const Real = WebSocket;
window.WebSocket = class extends Real {
  constructor(...how) {
    super(...how);
    window.attempts += 1;
    this.addEventListener("close", () => (window.ends += 1));
  }
};"""
SESSION_ENDED = 'event: error\ndata: {"type": "error", "code": "session_ended", "symbols": []}\n\n'
# What Math.random() says, and the seconds until the next attempt.
WAITS = [
    (4012, 0.0, 0.5),
    (4012, 0.5, 3.25),
    (1012, 0.0, 0.5),
    (4009, 0.0, 30.0),
    (4029, 0.0, 30.0),
    (4003, 0.0, 60.0),
]


@pytest.fixture
def gate(page: Page) -> Gate:
    gate = Gate(page)
    page.add_init_script(WATCH)
    return gate


def open_with_a_clock_that_stands(page: Page) -> None:
    """From the beginning: no wait of the page runs out while the machine is busy."""
    now = time.time()
    page.clock.install(time=now)
    page.clock.pause_at(now + 3600)
    page.goto("/")
    expect(way(page)).to_have_text("Live")


def attempts_after(page: Page, seconds: float) -> int:
    page.clock.run_for(round(seconds * 1000))
    return page.evaluate("attempts")


@pytest.mark.parametrize(("code", "chance", "wait_s"), WAITS)
def test_it_comes_back_when_the_code_says(
    page: Page, gate: Gate, code: int, chance: float, wait_s: float
) -> None:
    page.add_init_script(f"Math.random = () => {chance}")
    open_with_a_clock_that_stands(page)
    gate.close(code)
    page.wait_for_function("ends === 1")

    assert (attempts_after(page, wait_s - 0.1), attempts_after(page, 0.2)) == (1, 2)


def test_a_restart_may_say_itself_when_to_come_back(page: Page, gate: Gate) -> None:
    open_with_a_clock_that_stands(page)
    gate.close(4012, why="restarting", retry_ms=9_000)
    page.wait_for_function("ends === 1")

    assert (attempts_after(page, 8.9), attempts_after(page, 0.2)) == (1, 2)


def test_whoever_was_logged_out_is_told_and_does_not_come_back(page: Page, gate: Gate, alice: str) -> None:
    load_sample(page)
    page.reload()
    price_that_moves(page, "AAPL")
    attempts = page.evaluate("attempts")
    gate.close(4001, why="session_ended")
    expect(page.locator("[data-strip-title]")).to_have_text("You are logged out")
    expect(way(page)).to_have_text("Logged out")
    expect(page.locator("tr[data-state=offline]")).to_have_count(3)
    page.evaluate("dispatchEvent(new Event('online'))")

    assert page.evaluate("attempts") == attempts
    page.get_by_role("link", name="Log in", exact=True).click()
    page.wait_for_url("**/watchlist/")  # the session of this test has not really ended


def test_who_has_too_many_pages_open_is_told_and_may_try_at_once(page: Page, gate: Gate) -> None:
    def refuse(socket: WebSocketRoute) -> None:
        end(socket, 4003, why="connection_limit")

    gate.answer = refuse
    page.goto("/")
    expect(page.locator("[data-strip-title]")).to_have_text("Too many connections are open")
    expect(way(page)).to_have_text("Too many connections")

    gate.answer = None
    page.get_by_role("button", name="Try now").click()
    expect(way(page)).to_have_text("Live")
    expect(page.locator("[data-strip]")).to_be_hidden()
    price_that_moves(page, "AAPL")


def test_who_was_too_slow_gets_less_until_it_is_chosen_otherwise(page: Page, gate: Gate) -> None:
    page.goto("/")
    expect(way(page)).to_have_text("Live")
    gate.close(4008, why="too_slow")
    expect(often(page)).to_have_text("Every 5 s: your connection is slow", timeout=FALLEN_MS)

    open_details(page)
    page.get_by_role("button", name="Live", exact=True).click()
    expect(often(page)).to_have_text("As they change")


def test_an_event_stream_ends_for_the_same_reasons(page: Page) -> None:
    page.add_init_script(NO_WEBSOCKET)
    page.route(STREAM, lambda route: route.fulfill(content_type="text/event-stream", body=SESSION_ENDED))
    page.goto("/")

    expect(page.locator("[data-strip-title]")).to_have_text("You are logged out", timeout=FALLEN_MS)
