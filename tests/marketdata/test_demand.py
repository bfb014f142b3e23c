from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.db.models import CharField, IntegerField, Value

from core import metrics
from core.redis import client
from marketdata import demand
from marketdata.demand import WAKE_CHANNEL, Wanted
from marketdata.models import Ticker
from tests.factories import make_subscription, make_ticker, make_user
from tests.outages import redis_away, redis_server


@pytest.fixture
def sources(monkeypatch) -> Iterator[None]:
    """Only what a test registers."""
    monkeypatch.setattr(demand, "_sources", {})
    monkeypatch.setattr(demand, "_last_wake", 0.0)
    return


def wish(why: str, fresh_s: int, *symbols: str) -> None:
    demand.register(
        why,
        lambda: Ticker.objects.filter(symbol__in=symbols).values_list(
            "pk", Value(fresh_s, output_field=IntegerField()), Value(why, output_field=CharField())
        ),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 3])
def test_any_number_of_sources_and_tickers_is_one_statement(sources, number, django_assert_num_queries):
    symbols = [make_ticker().symbol for _ in range(number)]
    for source in range(number):
        wish(f"source {source}", 15, *symbols)

    with django_assert_num_queries(1):
        wanted = demand.wanted()

    assert {symbol: w.holders for symbol, w in wanted.items()} == dict.fromkeys(symbols, number)


@pytest.mark.django_db
def test_a_ticker_is_wanted_as_fresh_as_the_most_impatient_wishes(sources):
    ids = {symbol: make_ticker(symbol).pk for symbol in ("AAPL", "MSFT", "NVDA")}
    wish("people", 15, "AAPL", "MSFT")
    wish("holdings", 300, "AAPL")
    wish("alerts", 5, "MSFT")

    assert demand.wanted() == {
        "AAPL": Wanted(ids["AAPL"], "AAPL", holders=2, fresh_s=15),
        "MSFT": Wanted(ids["MSFT"], "MSFT", holders=2, fresh_s=5),
    }


@pytest.mark.django_db
def test_a_source_registered_again_replaces_the_first(sources):
    make_ticker("AAPL")
    wish("people", 15, "AAPL")
    wish("people", 60, "AAPL")

    assert demand.wanted()["AAPL"].holders == 1
    assert demand.wanted()["AAPL"].fresh_s == 60


@pytest.mark.django_db
def test_without_sources_or_rows_nothing_is_wanted(sources, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert demand.wanted() == {}
    wish("people", 15, "AAPL")
    assert demand.wanted() == {}


@pytest.mark.django_db
def test_a_source_that_is_known_to_be_empty_is_left_out(sources):
    make_ticker("AAPL")
    wish("nobody", 1)
    assert demand.wanted() == {}

    wish("people", 15, "AAPL")
    assert set(demand.wanted()) == {"AAPL"}


@pytest.mark.django_db
def test_without_demo_symbols_people_still_want_theirs(settings):
    settings.DEMO_SYMBOLS = []
    make_subscription(make_user(), make_ticker("AAPL"))

    assert set(demand.wanted()) == {"AAPL"}


@pytest.mark.django_db
def test_holders_are_the_people_and_the_house(settings):
    settings.DEMO_SYMBOLS = ["AAPL"]
    ticker = make_ticker("AAPL")
    for _ in range(3):
        make_subscription(make_user(), ticker)
    make_subscription(make_user(), make_ticker("MSFT"))

    assert {symbol: w.holders for symbol, w in demand.wanted().items()} == {"AAPL": 4, "MSFT": 1}


def test_a_change_wakes_the_tape_and_many_changes_at_once_wake_it_once(sources, settings, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(demand, "time", SimpleNamespace(monotonic=lambda: now))  # at once, on any machine
    listener = redis_server(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True)
    listener.subscribe(WAKE_CHANNEL)
    listener.get_message(timeout=30)

    for _ in range(5):
        demand.changed()
    client().publish(WAKE_CHANNEL, b"end")

    heard = []
    deadline = time.monotonic() + 30
    while b"end" not in heard and time.monotonic() < deadline:
        message = listener.get_message(timeout=1)
        heard += [message["data"]] if message else []
    assert heard == [b"", b"end"]
    listener.close()
    listener.connection_pool.disconnect()


def test_waking_while_redis_is_away_is_counted_and_no_error(sources):
    before = metrics.redis_failures.labels(used_by="wake")._value.get()
    with redis_away():
        demand.changed()

    assert metrics.redis_failures.labels(used_by="wake")._value.get() == before + 1


@pytest.mark.django_db
def test_how_fresh_the_alerts_need_a_ticker_is_told_apart_from_how_fresh_people_want_it(sources):
    for symbol in ("AAPL", "MSFT"):
        make_ticker(symbol)
    wish("watched", 15, "AAPL", "MSFT")
    wish("alert", 60, "AAPL")

    wanted = demand.wanted()

    assert {symbol: (w.fresh_s, w.alert_s) for symbol, w in wanted.items()} == {
        "AAPL": (15, 60),
        "MSFT": (15, None),
    }
