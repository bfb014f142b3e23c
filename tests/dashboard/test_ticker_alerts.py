"""Alerts on the page of a ticker and the bell of the watchlist, without a script."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from alerts import rules
from alerts.models import Alert
from core import clock
from dashboard.ticker_alerts import counts_by_symbol
from tests.factories import make_quote, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db
THIN = "\u2009"


@pytest.fixture
def alice(client: Client):
    user = make_user("alice")
    client.force_login(user)
    return user


@pytest.fixture
def apple():
    ticker = make_ticker("AAPL")
    make_quote(ticker, "589.58")
    return ticker


def text(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode().replace(THIN, "~")).replace("~", THIN)


def make_alert(user, **fields) -> Alert:
    return rules.create(user, {"symbol": "AAPL", "kind": "above", "threshold": "600", **fields})


def test_the_short_form_has_the_price_as_it_is_and_creates_at_once(client: Client, alice, apple) -> None:
    page = text(client.get("/tickers/AAPL/"))
    assert 'href="#quick-alert"' in page
    assert 'name="level" value="589.58"' in page

    sent = {
        "symbol": "AAPL",
        "unit": "price",
        "mode": "once",
        "kind": "crosses_above",
        "level": "600",
        "next": "/tickers/AAPL/",
    }
    answer = client.post("/alerts/new/", sent, follow=True)

    assert answer.redirect_chain == [("/tickers/AAPL/", 302)]
    assert "Alert on AAPL created" in text(answer)
    assert "Crosses above 600.00</a>" in text(answer)


def test_it_lists_the_alerts_of_this_ticker_and_their_levels_for_the_chart(
    client: Client, alice, apple
) -> None:
    make_ticker("IBM")
    make_alert(alice)
    make_alert(alice, kind="leaves_channel", lower="500", upper="700")
    make_alert(alice, symbol="IBM")
    rules.pause(alice, [make_alert(alice, kind="high_52w").pk])
    make_alert(make_user("bob"), threshold="610")

    answer = client.get("/tickers/AAPL/")

    assert re.findall(r'class="ticker-alert"[^>]*>([^<]+)<', text(answer)) == [
        "At a new 52-week high",
        "Leaves 500.00 to 700.00",
        "Above 600.00",
    ]
    assert "3 of your 4" in text(answer)
    levels = re.search(r'<script id="alert-levels" type="application/json">(.*?)</script>', text(answer))[1]
    assert [(float(one["price"]), one["words"]) for one in json.loads(levels)] == [
        (500.0, "Alert leaves 500.00 to 700.00"),
        (700.0, "Alert leaves 500.00 to 700.00"),
        (600.0, "Alert above 600.00"),
    ]


def test_a_visitor_is_offered_no_alert(client: Client, apple) -> None:
    assert "quick-alert" not in text(client.get("/tickers/AAPL/"))


def test_the_bell_of_a_row_has_the_number_of_its_alerts(client: Client, alice, apple) -> None:
    ibm = make_ticker("IBM")
    for ticker in (apple, ibm):
        make_subscription(alice, ticker)
    make_alert(alice)
    rules.pause(alice, [make_alert(alice, threshold="610").pk])
    rules.delete(alice, [make_alert(alice, threshold="620").pk])

    answer = text(client.get("/watchlist/"))

    assert 'href="/alerts/?ticker=AAPL" aria-label="2 alerts on AAPL"' in answer
    assert 'href="/alerts/new/?symbol=IBM" aria-label="New alert on IBM"' in answer


def test_alerts_that_are_over_are_not_counted(alice, apple) -> None:
    make_alert(alice)
    over = make_alert(alice, threshold="610")
    Alert.objects.filter(pk=over.pk).update(active=False, last_fired_at=clock.now())
    make_alert(make_user("bob"))

    assert counts_by_symbol(alice, clock.now()) == {"AAPL": 1}


def test_the_card_counts_what_takes_a_place_and_lists_what_is_over(client: Client, alice, apple) -> None:
    make_alert(alice)
    over = make_alert(alice, threshold="610")
    Alert.objects.filter(pk=over.pk).update(active=False, last_fired_at=clock.now())

    page = text(client.get("/tickers/AAPL/"))

    assert (page.count('class="ticker-alert"'), "1 of your 1" in page) == (2, True)


def test_an_open_page_gets_the_card_alone(client: Client, alice, apple) -> None:
    make_alert(alice)

    part = text(client.get("/tickers/AAPL/", headers={"X-Fragment": "alerts"}))

    assert ("<html" in part, "Above 600.00</a>" in part, "data-alert-count" in part) == (False, True, True)


def test_a_visitor_has_no_card_to_ask_for(client: Client, apple) -> None:
    assert "data-ticker-alerts" not in text(client.get("/tickers/AAPL/", headers={"X-Fragment": "alerts"}))
