from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import freshness
from marketdata.cache import decode
from marketdata.quotes import Session, Tick, quote_of
from marketdata.symbols import group_name
from marketdata.tape.publish import update_of
from marketdata.tape.writing import Said, Writer

NOW = datetime(2026, 3, 2, 15, 30, 0, 654321, tzinfo=UTC)
PRICES = st.decimals(Decimal("0.00000001"), Decimal(10**11), places=8) | st.decimals(1, 1000, places=2)
SIDES = st.none() | PRICES
TICKS = st.builds(
    Tick,
    st.sampled_from(["AAPL", "BRK.B", "^GSPC", "BTC-USD", "EURUSD=X", "0700.HK"]),
    PRICES,
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.integers(0, 4 * 10**15),
    st.sampled_from(["scripted", "alpaca", "gone"]),
    session=st.sampled_from(Session),
    open=SIDES, high=SIDES, low=SIDES, previous_close=SIDES, bid=SIDES, ask=SIDES,
    halted=st.booleans(), rebased=st.booleans(), delayed_s=st.sampled_from([0, 900]),
    replay_date=st.none() | st.just(date(2012, 10, 25)),
)  # fmt: skip


def slowly(tick: Tick, number: int, now: datetime = NOW):
    ttl = freshness.ttl_from(freshness.provider_named(tick.provider), tick.symbol, now)
    return quote_of(tick, received_at=now, ttl=ttl, epoch=2**33, seq=number)


@given(TICKS)
def test_what_is_written_at_once_is_to_the_byte_what_the_quote_would_say(tick):
    assert Writer(2**33).updates([(tick, 9)], NOW) == [update_of(slowly(tick, 9))]


def test_the_state_can_be_read_as_the_quote():
    tick = Tick("AAPL", Decimal("669.880"), 300, 0, 1_772_465_400_000_001, "scripted", bid=Decimal("669.9"))

    (update,) = Writer(2**33).updates([(tick, 9)], NOW)

    assert (update.key, update.group) == ("AAPL", group_name("AAPL"))
    assert decode(update.latest) == slowly(tick, 9)


@pytest.mark.parametrize("symbols", [("AAPL", "MSFT"), ("AAPL", "BTC-USD", "EURUSD=X", "0700.HK")])
def test_each_market_has_its_own_time_to_live(symbols):
    ticks = [Tick(symbol, Decimal(5), 1, 1, 1_772_465_400_000_000, "scripted") for symbol in symbols]
    night, before_open = NOW + timedelta(hours=9), NOW - timedelta(minutes=62)
    writer = Writer(2**33)

    for now in (NOW, night, before_open):
        assert writer.updates([(tick, 1) for tick in ticks], now) == [
            update_of(slowly(tick, 1, now)) for tick in ticks
        ]


def test_rows_for_the_database_are_the_same_quotes():
    tick = Tick("AAPL", Decimal("5.25"), 3, 1000, 1_772_465_400_000_000, "scripted")
    halted = replace(tick, symbol="MSFT", halted=True)

    assert Writer(2**33).quotes([Said(tick, 4, NOW), Said(halted, 5, NOW)]) == [
        slowly(tick, 4),
        slowly(halted, 5),
    ]
