"""Prices that stop are marked, and go live again by themselves."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import Site
from tests.browser.test_watchlist import load_sample, price_that_moves
from tests.browser.ways import QUOTES, SOCKET, STREAM, way


@pytest.fixture
def silent_tape(site: Site):
    yield lambda: site.suspend("tape")
    site.go_on("tape")


def test_a_silent_tape_marks_prices_stale_and_they_come_back(
    page: Page, alice: str, site: Site, silent_tape
) -> None:
    load_sample(page)
    price_that_moves(page, "AAPL")

    silent_tape()
    expect(page.locator("tr[data-state=stale]")).to_have_count(3)
    expect(page.locator(".tool-row [data-age-words]")).to_contain_text("Stale")
    expect(page.locator("[data-strip-title]")).to_contain_text("the feed is silent")

    site.go_on("tape")
    expect(page.locator("tr[data-state=ok]")).to_have_count(3)
    expect(page.locator("[data-strip]")).to_be_hidden()
    price_that_moves(page, "AAPL")


def test_a_lost_connection_says_since_when_and_comes_back(page: Page, alice: str, witness) -> None:
    witness.expect("WebSocket connection")
    witness.expect("net::ERR_FAILED")
    load_sample(page)
    price_that_moves(page, "AAPL")
    page.route_web_socket(SOCKET, lambda socket: socket.close())
    for ways in (STREAM, QUOTES):
        page.route(ways, lambda route: route.abort())
    page.reload()

    expect(page.locator(".tool-row [data-age-words]")).to_contain_text("Offline since")
    expect(page.locator("tr[data-state=offline]")).to_have_count(3)
    expect(way(page)).to_have_text("Offline")
    expect(page.locator("[data-strip-text]")).to_contain_text("This is the snapshot of")

    page.unroute_all()
    page.route_web_socket(SOCKET, lambda socket: socket.connect_to_server())
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("tr[data-state=ok]")).to_have_count(3)
    price_that_moves(page, "AAPL")
