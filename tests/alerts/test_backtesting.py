from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.backtesting import ENOUGH_DAYS, NoBars, Why, run
from alerts.kinds import Kind, Mode, Rule, Sessions
from alerts.spans import Source
from core import clock
from marketdata import store
from marketdata.models import CorporateAction, DailyBar, Ticker
from marketdata.providers import registry
from marketdata.quotes import Bar
from tests.factories import make_quote, make_ticker

pytestmark = pytest.mark.django_db

# A Tuesday evening in New York.
NOW = datetime(2026, 3, 3, 23, 0, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def ticker() -> Ticker:
    return make_ticker("ABC")


def add_days(ticker: Ticker, prices: dict[date, str]) -> None:
    store._made.clear()  # the partitions of an earlier test were rolled back with it
    store.ensure_months(prices)
    DailyBar.objects.bulk_create(
        DailyBar(ticker=ticker, day=day, open=price, high=price, low=price, close=price, volume=100)
        for day, price in prices.items()
    )


def add_minutes(ticker: Ticker, prices: dict[datetime, str]) -> None:
    bars = [Bar(ticker.symbol, start, *[Decimal(price)] * 4, volume=100) for start, price in prices.items()]
    store.store_minute_bars(bars, {ticker.symbol: ticker.pk})


def trading_days(count: int) -> list[date]:
    """The last ones before today, oldest first; no holiday is among the last fifty."""
    past = (TODAY - timedelta(days=n) for n in range(1, 100))
    return [day for day in past if day.isoweekday() < 6][:count][::-1]


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def above(threshold: str, **fields) -> Rule:
    return Rule(Kind.ABOVE, Decimal(threshold), **{"mode": Mode.REPEAT, **fields})


def told(result) -> list[tuple[datetime, str]]:
    return [(fire.at, format(fire.price.normalize(), "f")) for fire in result.fires]


def test_without_bars_it_says_so(ticker) -> None:
    assert run("ABC", above("100")) == NoBars(Why.NO_BARS)
    assert run("NOSUCH", above("100")) == NoBars(Why.NO_BARS)


def test_silence_cannot_be_tested(ticker) -> None:
    assert run("ABC", Rule(Kind.STALE, stale_after_s=60)) == NoBars(Why.NOT_IN_BARS)


def test_days_serve_where_there_are_few_minutes(ticker) -> None:
    one, other = trading_days(2)
    add_days(ticker, {one: "99", other: "101"})
    add_minutes(ticker, {at(day, 15): "105" for day in trading_days(ENOUGH_DAYS - 1)})
    result = run("ABC", above("100"))
    assert (result.source, result.since, result.until, result.days) == (Source.DAY, one, other, 2)
    assert told(result) == [(at(other, 0), "101")]


def test_minutes_serve_where_there_are_enough_of_them(ticker) -> None:
    days = trading_days(ENOUGH_DAYS + 1)
    add_days(ticker, dict.fromkeys(days, "999"))
    add_minutes(ticker, {at(day, 15): "99" for day in days} | {at(days[3], 15, 1): "101"})
    result = run("ABC", above("100"))
    assert (result.source, result.since, result.days) == (Source.MINUTE, days[0], ENOUGH_DAYS + 1)
    assert told(result) == [(at(days[3], 15, 1), "101")]


def test_minutes_of_a_month_ago_and_of_today_are_not_enough(ticker) -> None:
    days = trading_days(ENOUGH_DAYS + 5)
    add_minutes(ticker, {at(days[0], 15): "99", at(days[-1], 15): "99"})
    assert run("ABC", above("100")) == NoBars(Why.NO_BARS)


def test_minutes_outside_the_regular_session_count_where_they_are_wanted(ticker, monkeypatch) -> None:
    monkeypatch.setattr(registry, "route", lambda _: None)  # the simulator is always open
    days = trading_days(ENOUGH_DAYS + 1)
    early = at(days[1], 13)
    add_minutes(ticker, {at(day, 15): "99" for day in days} | {early: "101"})
    assert told(run("ABC", above("100"))) == []
    assert told(run("ABC", above("100", sessions=Sessions.EXTENDED))) == [(early, "101")]


def test_a_year_is_looked_at_and_today_is_not(ticker) -> None:
    year_ago = TODAY - timedelta(weeks=52)
    add_days(ticker, {year_ago - timedelta(days=1): "101", year_ago: "99", TODAY: "101"})
    result = run("ABC", above("100"))
    assert (told(result), result.days) == ([], 1)


def test_days_before_a_split_are_in_shares_of_today(ticker) -> None:
    one, other = trading_days(2)
    add_days(ticker, {one: "404", other: "99"})
    CorporateAction.objects.create(
        ticker=ticker,
        kind="split",
        ex_date=other,
        split_from=1,
        split_to=4,
        provider="operator",
        loaded_at=NOW,
    )
    assert told(run("ABC", above("100"))) == [(at(one, 0), "101")]


def test_a_replayed_ticker_does_not_know_its_future(ticker) -> None:
    make_quote(ticker, replay_date=date(2016, 5, 10))
    add_days(ticker, {date(2016, 5, 9): "99", date(2016, 5, 10): "101", date(2016, 5, 11): "102"})
    add_minutes(ticker, {at(day, 15): "99" for day in trading_days(ENOUGH_DAYS + 1)})
    result = run("ABC", above("100"))
    assert (result.source, result.until, told(result)) == (Source.DAY, date(2016, 5, 9), [])


def test_moves_of_an_hour_need_minutes(ticker) -> None:
    add_days(ticker, dict.fromkeys(trading_days(3), "100"))
    assert run("ABC", Rule(Kind.MOVES, Decimal(5), window_s=3_600)) == NoBars(Why.NOT_IN_BARS)


def test_new_highs_are_compared_with_the_year_before_each_day(ticker) -> None:
    days = [TODAY - timedelta(days=n) for n in range(2 * 364, 0, -1)]
    prices = dict.fromkeys(days, "100") | {days[370]: "105", days[400]: "104", days[500]: "106"}
    add_days(ticker, prices)
    result = run("ABC", Rule(Kind.HIGH_52W, mode=Mode.REPEAT))
    assert told(result) == [(at(days[370], 0), "105"), (at(days[500], 0), "106")]


def test_volume_is_compared_with_the_days_before_also_where_minutes_are_summed(ticker) -> None:
    days = trading_days(40)
    add_days(ticker, dict.fromkeys(days, "100"))
    add_minutes(
        ticker, {at(day, 15): "99" for day in days[-16:]} | {at(days[-1], 15, n): "98" for n in range(4)}
    )
    result = run("ABC", Rule(Kind.VOLUME, Decimal(2), mode=Mode.REPEAT))
    assert (result.source, told(result)) == (Source.MINUTE, [(at(days[-1], 15, 2), "98")])


@pytest.mark.parametrize("days", [1, 30])
def test_the_number_of_bars_costs_no_queries(ticker, days, django_assert_num_queries) -> None:
    add_days(ticker, dict.fromkeys(trading_days(days), "100"))
    with django_assert_num_queries(4):  # the ticker, minutes, days, splits
        run("ABC", above("100"))
