"""What moves are compared with after a start, and after the price came to stand on another base."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from alerts import past_minutes
from alerts.engine import Engine, Watched
from alerts.kinds import Kind, Mode, Phase, Rule, Sessions
from alerts.past_minutes import MINUTE, PastMinutes
from core import clock
from core.database import in_thread
from core.redis import client
from marketdata.accepted import key_of
from marketdata.calendar import NEW_YORK
from marketdata.models import CorporateAction, MinuteBar, Ticker
from marketdata.quotes import microseconds
from marketdata.splits import today
from tests.alerts.ticking import TickStream, accepted, fires, running
from tests.factories import make_alert, make_minute_bar, make_quote, make_ticker, make_user

pytestmark = [pytest.mark.django_db(transaction=True)]
DAY_S = 24 * 3600


# Noon in New York, of a day that is as long as the one before.
NOON = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOON)
    return NOON


def last_night() -> datetime:
    """The last minute of yesterday in New York, when no session is open."""
    return datetime.combine(today(), time(), NEW_YORK) - MINUTE


def store(ticker: Ticker, start: datetime, low: str, high: str) -> None:
    bar = make_minute_bar(ticker, start)
    MinuteBar.objects.filter(pk=bar.pk).update(low=Decimal(low), high=Decimal(high))


def split(ticker: Ticker) -> None:
    CorporateAction.objects.create(
        ticker=ticker, kind="split", ex_date=today(), split_from=1, split_to=4, provider="hand",
        loaded_at=clock.now(),
    )  # fmt: skip


def watching(symbol: str, window_s: int = DAY_S, sessions: Sessions = Sessions.EXTENDED) -> Engine:
    rule = Rule(Kind.MOVES, threshold=Decimal(5), window_s=window_s, sessions=sessions, mode=Mode.REPEAT)
    engine = Engine()
    engine.add(Watched(1, symbol, rule, Phase.ARMED, 1, 3, armed_us=1))
    return engine


def hear(engine: Engine, symbol: str, *prices: str, at: datetime, **more) -> list[Decimal]:
    """The prices at which it fires, a second apart."""
    found = []
    for number, price in enumerate(prices):
        tick = accepted(symbol, price, microseconds(at) + number * 1_000_000, **more)
        found += [effect.price for effect in engine.on_tick(tick) if effect.fires]
    return found


def _with_a_bar(symbol: str, start: datetime, low: str, high: str) -> Ticker:
    ticker = make_ticker(symbol)
    store(ticker, start, low, high)
    return ticker


# --- after a start


async def test_a_split_is_no_move(now):
    split_of = await in_thread(_with_a_bar, "AAPL", last_night(), "400", "400")
    await in_thread(split, split_of)
    engine = watching("AAPL")
    await PastMinutes(engine).remember(now)
    assert hear(engine, "AAPL", "100", "104", "105.01", at=now) == [Decimal("105.01")]


async def test_a_replay_knows_nothing_of_a_later_split(now):
    ticker = await in_thread(_with_a_bar, "AAPL", last_night(), "100", "100")
    await in_thread(split, ticker)
    await in_thread(lambda: make_quote(ticker, replay_date=today() - timedelta(days=30)))
    engine = watching("AAPL")
    await PastMinutes(engine).remember(now)
    assert hear(engine, "AAPL", "101", "105.01", at=now) == [Decimal("105.01")]


async def test_minutes_of_a_session_that_does_not_count_are_left_out(now, monkeypatch):
    monkeypatch.setattr(past_minutes.registry, "route", lambda _: None)
    await in_thread(_with_a_bar, "AAPL", last_night(), "90", "90")
    regular, extended = watching("AAPL", sessions=Sessions.REGULAR), watching("AAPL")
    for engine in (regular, extended):
        await PastMinutes(engine).remember(now)
    fired = [hear(engine, "AAPL", "100", at=now) for engine in (regular, extended)]
    assert fired == [[], [Decimal(100)]]


async def test_a_market_that_never_closes_has_all_its_minutes(now):
    await in_thread(_with_a_bar, "BTC-USD", last_night(), "90", "90")
    engine = watching("BTC-USD", sessions=Sessions.REGULAR)
    await PastMinutes(engine).remember(now)
    assert hear(engine, "BTC-USD", "100", at=now) == [Decimal(100)]


async def test_each_series_has_its_own_window(now, monkeypatch):
    """Whatever the window of another ticker: only what is needed is read, some tickers at a time."""
    monkeypatch.setattr(past_minutes, "TICKERS_AT_ONCE", 2)
    engine, read = Engine(), []
    for number, (symbol, window_s) in enumerate([("AA", 600), ("BB", DAY_S), ("CC", 600)]):
        ticker = await in_thread(_with_a_bar, symbol, now - timedelta(hours=2), "90", "90")
        await in_thread(store, ticker, now - timedelta(minutes=5), "100", "100")
        rule = Rule(Kind.MOVES, Decimal(5), window_s=window_s, sessions=Sessions.EXTENDED)
        engine.add(Watched(number, symbol, rule, Phase.ARMED, 1, 3, armed_us=1))
    rows_of = past_minutes._rows
    monkeypatch.setattr(
        past_minutes, "_rows", lambda since: iter([read.append(row) or row for row in rows_of(since)])
    )
    await PastMinutes(engine).remember(now)
    fired = [hear(engine, symbol, "101", at=now) for symbol in ("AA", "BB", "CC")]
    assert (fired, len(read)) == ([[], [Decimal(101)], []], 4)


# --- after a rebase


async def test_what_was_before_a_rebase_counts_again(now):
    ticker = await in_thread(_with_a_bar, "AAPL", now - timedelta(minutes=10), "100", "100")
    engine = watching("AAPL")
    past = PastMinutes(engine)
    await past.remember(now)
    hear(engine, "AAPL", "102", at=now, rebased=True)
    await in_thread(store, ticker, now - timedelta(seconds=30), "50", "50")  # of both vendors
    await past.remember_again()
    later = now + timedelta(seconds=1)
    assert hear(engine, "AAPL", "103", "105.01", at=later, provider="other") == [Decimal("105.01")]
    assert engine.begun_anew == set()


async def test_by_what_two_vendors_differ_is_no_move(now):
    await in_thread(_with_a_bar, "AAPL", now - timedelta(minutes=10), "100", "100")
    engine = watching("AAPL")
    past = PastMinutes(engine)
    await past.remember(now)
    assert hear(engine, "AAPL", "106", at=now, rebased=True) == []
    await past.remember_again()
    later = now + timedelta(seconds=1)
    assert hear(engine, "AAPL", "106.01", "106.02", "104", "105.50", at=later) == [Decimal("105.50")]


async def test_a_price_that_begins_anew_while_minutes_are_read_is_asked_about_again(now, monkeypatch):
    await in_thread(_with_a_bar, "AAPL", now - timedelta(minutes=10), "100", "100")
    engine = watching("AAPL")
    past, find = PastMinutes(engine), past_minutes._find
    hear(engine, "AAPL", "102", at=now, rebased=True)
    later = now + timedelta(seconds=5)

    def find_slowly(asked) -> None:
        find(asked)
        hear(engine, "AAPL", "102", at=later, rebased=True)

    monkeypatch.setattr(past_minutes, "_find", find_slowly)
    await past.remember_again()
    assert engine.begun_anew == {"AAPL"}
    monkeypatch.setattr(past_minutes, "_find", find)
    await past.remember_again()
    assert hear(engine, "AAPL", "103", "105.01", at=later + MINUTE) == [Decimal("105.01")]


async def test_the_runner_asks_for_them_by_itself(transactional_db, monkeypatch, caplog):
    caplog.set_level("CRITICAL")
    client().delete(key_of(0))
    told, tell = asyncio.Event(), past_minutes._tell

    def tell_and_say(one) -> None:
        tell(one)
        if one.begins_us:
            told.set()

    def make() -> int:
        ticker = make_ticker("BTC-USD")
        store(ticker, clock.now() - timedelta(minutes=10), "100", "100")
        return make_alert(make_user(), ticker, Kind.MOVES, "5", window_s=3600, mode="repeat").pk

    monkeypatch.setattr(past_minutes, "_tell", tell_and_say)
    alert, stream = await in_thread(make), TickStream()
    async with running(monkeypatch) as made:
        await made.is_ready()
        stream.send("BTC-USD", "102", rebased=True)
        await asyncio.wait_for(told.wait(), 50)
        stream.send("BTC-USD", "103", "105.01")
        await made.read_all(stream)
    client().delete(key_of(0))
    assert await in_thread(fires) == [(alert, 1, Decimal("105.01"))]
