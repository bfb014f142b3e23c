from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from marketdata import freshness, market_hours
from marketdata.calendar import NEW_YORK, SpecialDay
from marketdata.freshness import OPEN_TTL, OTHERWISE_TTL, session_of, ttl_of
from marketdata.providers import registry
from marketdata.providers.simulator import Script, Simulator
from marketdata.quotes import Session
from tests.providers import Scripted, make_quote

SECOND = timedelta(seconds=1)


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "AAPL261218C00150000", "ABC.WS", "ABR.PRD"])
def test_what_trades_in_new_york_follows_its_calendar(symbol):
    assert session_of(symbol, ny("2026-07-14T12:00")) is Session.REGULAR
    assert session_of(symbol, ny("2026-07-14T18:00")) is Session.POST
    assert session_of(symbol, ny("2026-11-26T12:00")) is Session.CLOSED


@pytest.mark.parametrize("moment", ["2026-07-14T12:00", "2026-07-18T03:00", "2026-12-25T12:00"])
def test_coins_are_always_open(moment):
    assert session_of("BTC-USD", ny(moment)) is Session.REGULAR
    assert ttl_of("BTC-USD", ny(moment)) == OPEN_TTL


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-07-17T16:59:59", "regular"),
        ("2026-07-17T17:00:00", "closed"),
        ("2026-07-18T12:00:00", "closed"),
        ("2026-07-19T16:59:59", "closed"),
        ("2026-07-19T17:00:00", "regular"),
        ("2026-07-21T03:00:00", "regular"),
        ("2026-12-25T12:00:00", "regular"),
        ("2026-03-08T17:00:00", "regular"),  # the clocks went forward that morning
    ],
)
def test_currencies_trade_from_sunday_17_to_friday_17_in_new_york(moment, session):
    assert session_of("EURUSD=X", ny(moment)) == session


@pytest.mark.parametrize("symbol", ["0700.HK", "RCI.B.TO", "MC.PA", "VOD.L", "7203.T"])
def test_other_exchanges_are_open_on_weekdays_of_utc(symbol):
    assert session_of(symbol, datetime(2026, 7, 17, 23, 59, tzinfo=UTC)) is Session.REGULAR
    assert session_of(symbol, datetime(2026, 7, 18, 0, 0, tzinfo=UTC)) is Session.CLOSED
    assert session_of(symbol, datetime(2026, 7, 20, 0, 0, tzinfo=UTC)) is Session.REGULAR
    assert ttl_of(symbol, datetime(2026, 7, 19, 23, 59, tzinfo=UTC)) == OTHERWISE_TTL


@pytest.mark.parametrize(
    ("moment", "ttl"),
    [
        ("2026-11-27T09:24:59", OTHERWISE_TTL),
        ("2026-11-27T09:29:00", 60 * SECOND),
        ("2026-11-27T09:29:50", OPEN_TTL),
        ("2026-11-27T09:30:00", OPEN_TTL),
        ("2026-11-27T12:59:59.999999", OPEN_TTL),
        ("2026-11-27T13:00:00", OTHERWISE_TTL),
        ("2026-12-24T12:59:59.999999", OPEN_TTL),
        ("2026-12-24T13:00:00", OTHERWISE_TTL),
        ("2026-12-25T12:00:00", OTHERWISE_TTL),
        ("2025-01-09T12:00:00", OTHERWISE_TTL),
    ],
)
def test_the_time_to_live_changes_at_the_minute_and_never_reaches_into_the_session(moment, ttl):
    assert ttl_of("AAPL", ny(moment)) == ttl


def test_an_operators_exception_changes_the_time_to_live():
    noon = ny("2026-07-14T12:00")
    market_hours.use([SpecialDay(noon.date())])
    try:
        assert ttl_of("AAPL", noon) == OTHERWISE_TTL
    finally:
        market_hours.use([])


SUNDAY = ny("2026-07-19T12:00")


@pytest.mark.parametrize(
    ("script", "session", "ttl"),
    [(Script(), Session.REGULAR, OPEN_TTL), (Script(sessions=True), Session.CLOSED, OTHERWISE_TTL)],
)
def test_a_provider_that_is_always_open_has_no_sundays(script, session, ttl):
    provider = Simulator(script=script)

    assert freshness.session_from(provider, "AAPL", SUNDAY) is session
    assert freshness.ttl_from(provider, "AAPL", SUNDAY) == ttl


def test_without_a_provider_the_symbol_alone_says_it():
    assert freshness.session_from(None, "AAPL", SUNDAY) is Session.CLOSED
    assert freshness.ttl_from(None, "BTC-USD", SUNDAY) == OPEN_TTL


@pytest.mark.parametrize(
    ("provider", "replay_date", "day"),
    [
        ("scripted", None, "2026-07-14"),
        ("simulator", None, "2026-07-15"),
        ("replay", "2012-10-25", "2012-10-25"),
    ],
)
def test_the_bar_of_the_day_is_that_of_new_york_except_where_the_market_is_made_up(
    provider, replay_date, day
):
    evening = ny("2026-07-14T19:59").astimezone(UTC) + timedelta(minutes=1)
    replayed = replay_date and date.fromisoformat(replay_date)
    quote = make_quote("AAPL", as_of=evening, provider=provider, replay_date=replayed)

    with registry.override(Scripted(), Simulator()):
        assert freshness.day_of(quote) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("symbol", "moment", "day"),
    [
        ("AAPL", ny("2026-07-14T19:59"), "2026-07-14"),  # in UTC, midnight was a minute before
        ("AAPL", ny("2026-07-18T12:00"), "2026-07-17"),
        ("BTC-USD", ny("2026-07-14T20:00"), "2026-07-15"),
        ("EURUSD=X", ny("2026-07-14T20:00"), "2026-07-15"),
        ("0700.HK", ny("2026-07-14T20:00"), "2026-07-15"),
    ],
)
def test_a_trade_belongs_to_the_day_of_its_market(symbol, moment, day):
    assert freshness.trading_day_of(symbol, moment) == date.fromisoformat(day)
