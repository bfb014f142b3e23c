from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache

from core import clock
from dashboard import ledger
from dashboard.cost_rows import HOUSE, NOBODY, GroupBy, rows_of, total_of
from dashboard.costs import PARTS, Amount
from dashboard.ledger import Window, cached_report, of_user, report, used_lately
from marketdata.models import Cause, Price, ProviderCall
from subscriptions.watchlist import unwatch, watch
from tests.factories import make_interval, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 10, tzinfo=UTC)
NOON = START + timedelta(hours=12)
WINDOW = Window(START, START + timedelta(days=2))


@pytest.fixture(autouse=True)
def _no_demo(settings):
    settings.DEMO_SYMBOLS = []
    cache.clear()


def price(usd: str, **fields) -> Price:
    values = {"provider": "massive", "unit": "request", "valid_from": datetime(2026, 1, 1, tzinfo=UTC)}
    return Price.objects.create(usd=Decimal(usd), **{**values, **fields})


def call(*symbols: str, at: datetime = NOON, cause: str = Cause.POLL, **fields) -> ProviderCall:
    values = {"provider": "massive", "plan": "starter", "endpoint": "quotes", "outcome": "ok"}
    return ProviderCall.objects.create(at=at, cause=cause, symbols=list(symbols), **{**values, **fields})


def wanted(user, ticker, start: datetime = START, **fields) -> None:
    make_interval(user, ticker, started_at=start, **fields)


def dollars(amount: Amount) -> tuple[Decimal, Decimal]:
    return Decimal(amount.cost) / PARTS, Decimal(amount.unshared) / PARTS


def shown(found, group_by) -> dict[str, tuple[int, int]]:
    return {row.name: (row.cost, row.unshared) for row in rows_of(found, group_by)}


def test_a_call_is_paid_by_those_who_watched_its_ticker_at_that_moment() -> None:
    alice, bob, aapl = make_user("alice"), make_user("bob"), make_ticker("AAPL")
    wanted(alice, aapl)
    wanted(bob, aapl, NOON - timedelta(hours=1), ended_at=NOON + timedelta(hours=1))
    price("0.02")
    call("AAPL")
    call("AAPL", at=NOON + timedelta(hours=2))

    found = report(WINDOW)

    assert dollars(of_user(found, alice.pk).total) == (Decimal("0.03"), Decimal("0.04"))
    assert dollars(of_user(found, bob.pk).total) == (Decimal("0.01"), Decimal("0.02"))
    assert set(of_user(found, bob.pk).tickers) == {"AAPL"}


def test_the_intervals_are_those_that_watching_writes() -> None:
    alice, aapl = make_user("alice"), make_ticker("AAPL")
    price("1")
    watch(alice, [aapl])
    call("AAPL", at=clock.now())
    unwatch(alice, [aapl])
    call("AAPL", at=clock.now())

    found = report(Window.last_days(1, clock.now()))

    assert dollars(of_user(found, alice.pk).total) == (1, 1)
    assert found.attribution.nobody == PARTS


def test_who_only_streamed_pays_until_the_row_ran_out() -> None:
    alice, aapl = make_user("alice"), make_ticker("AAPL")
    price("1")
    now = clock.now()
    wanted(alice, aapl, now - timedelta(minutes=10))
    make_subscription(alice, aapl, ends_at=now - timedelta(minutes=5))
    call("AAPL", at=now - timedelta(minutes=6))
    call("AAPL", at=now - timedelta(minutes=4))

    found = report(Window(now - timedelta(hours=1), now))

    assert dollars(of_user(found, alice.pk).total) == (1, 1)
    assert found.attribution.nobody == PARTS


def test_demo_tickers_are_paid_by_the_house_as_well(settings) -> None:
    settings.DEMO_SYMBOLS = ["AAPL"]
    alice = make_user("alice")
    wanted(alice, make_ticker("AAPL"))
    price("1")
    call("AAPL")

    assert shown(report(WINDOW), GroupBy.USER) == {
        "alice": (500_000_000, 1_000_000_000),
        "House": (500_000_000, 1_000_000_000),
        "Nobody": (0, 0),
    }


def test_a_call_without_a_price_is_counted_and_costs_nothing_yet() -> None:
    price("1")
    call("AAPL")
    call("AAPL", provider="finnhub")

    found = report(WINDOW)

    assert (found.total.calls, found.total.unpriced, found.total.cost) == (2, 1, PARTS)
    assert found.by_provider["finnhub"].unpriced == 1


def test_a_corrected_price_changes_the_past() -> None:
    line = price("1")
    call("AAPL")
    line.usd = Decimal(3)
    line.save()

    assert report(WINDOW).total.cost == 3 * PARTS


def test_fees_run_day_by_day_and_are_spread_over_what_was_asked() -> None:
    alice, bob, aapl = make_user("alice"), make_user("bob"), make_ticker("AAPL")
    wanted(alice, aapl)
    wanted(bob, aapl)
    price("0")
    price("31", unit="month", plan="starter")
    call("AAPL", at=NOON)

    found = report(WINDOW)

    assert {day: part.cost for day, part in found.by_day.items()} == {
        date(2026, 3, 10): PARTS,
        date(2026, 3, 11): PARTS,
    }
    assert dollars(of_user(found, alice.pk).total) == (1, 2)
    assert shown(found, GroupBy.CAUSE) == {
        "Monthly fees": (2_000_000_000, 4_000_000_000),
        "Wanted, does not stream": (0, 0),
    }


def test_only_calls_of_the_window_count() -> None:
    price("1")
    call("AAPL", at=WINDOW.start)
    call("AAPL", at=WINDOW.end)
    call("AAPL", at=WINDOW.start - timedelta(microseconds=1))

    assert report(WINDOW).total.calls == 1


@pytest.mark.parametrize("group_by", list(GroupBy))
def test_every_grouping_adds_up_to_the_total(group_by, settings) -> None:
    settings.DEMO_SYMBOLS = ["MSFT"]
    people = [make_user() for _ in range(3)]
    for person in people:
        wanted(person, make_ticker())
    wanted(people[0], make_ticker("AAPL"))
    for usd, unit in (("0.000000001", "request"), ("0.333333333", "symbol"), ("17", "month")):
        price(usd, unit=unit)
    for number in range(7):
        call("AAPL", "MSFT", "NONE", at=NOON + timedelta(hours=number))
        call("AAPL", unit="symbol", cause=Cause.WARM, units=Decimal("1.000001"))
    call(cause=Cause.CHECK)
    found = report(WINDOW)

    rows = rows_of(found, group_by)

    total = total_of(found)
    assert (sum(row.cost for row in rows), sum(row.unshared for row in rows)) == (total.cost, total.unshared)
    assert found.attribution.attributed == found.total.cost


def test_the_house_and_nobody_are_rows_of_the_people() -> None:
    rows = {row.key for row in rows_of(report(WINDOW), GroupBy.USER)}

    assert rows == {HOUSE, NOBODY}


def test_days_stand_in_their_order_also_without_a_purchase() -> None:
    assert [row.key for row in rows_of(report(WINDOW), GroupBy.DAY)] == ["2026-03-10", "2026-03-11"]


def test_a_report_costs_the_same_queries_for_any_number_of_rows(django_assert_num_queries) -> None:
    aapl = make_ticker("AAPL")
    for _ in range(5):
        wanted(make_user(), aapl)
        call("AAPL")

    with django_assert_num_queries(3):  # the book, the calls, the intervals
        report(WINDOW)


def test_readers_of_the_same_minute_share_a_report() -> None:
    call("AAPL")
    cached_report(WINDOW)
    call("AAPL")

    assert cached_report(WINDOW).total.calls == 1


def test_the_last_days_end_with_this_minute() -> None:
    window = Window.last_days(7, NOON + timedelta(seconds=30))

    assert (window.start, window.end) == (START - timedelta(days=6), NOON + timedelta(minutes=1))
    assert len(list(window.days())) == 7


def test_what_was_used_lately_is_counted_by_provider() -> None:
    call("AAPL", at=NOON - timedelta(seconds=60))
    call("AAPL", at=NOON - timedelta(seconds=59))
    call("AAPL", at=NOON, provider="finnhub")
    call("AAPL", at=NOON + timedelta(seconds=1))

    assert used_lately(NOON, 60) == {"massive": 1, "finnhub": 1}


def test_who_comes_while_a_report_is_made_does_not_make_it_again(monkeypatch):
    made, found, others = [], report(WINDOW), 5
    everybody_looked = threading.Barrier(others)
    read = cache.get

    def look(key):
        if threading.get_ident() not in looked:
            looked.add(threading.get_ident())
            everybody_looked.wait(20)
        return read(key)

    looked: set[int] = set()
    monkeypatch.setattr(ledger.cache, "get", look)
    monkeypatch.setattr(ledger, "report", lambda window: made.append(window) or found)
    with ThreadPoolExecutor(others) as pool:
        reports = list(pool.map(lambda _: cached_report(WINDOW).window, range(others)))

    assert made == [WINDOW]
    assert reports == [WINDOW] * others
