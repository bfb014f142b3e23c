from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.company import FIGURES
from marketdata.errors import Kind, Malformed, PlanLocked
from marketdata.providers.base import Interval
from marketdata.providers.massive import Massive
from marketdata.providers.plans import plan_of
from marketdata.standins.base import Fault
from marketdata.standins.massive import MassiveStandIn
from tests.contracts.vendors.case import KEY, Case, last_open_day
from tests.contracts.vendors.secrets import assert_untold
from tests.contracts.vendors.stream_suite import *  # noqa: F403 -- the shared tests, on CASE
from tests.contracts.vendors.suite import *  # noqa: F403 -- the shared tests, on CASE


def massive(standin, patience=None, plan="advanced"):
    return Massive(
        KEY,
        base_url=standin.url,
        stream_url=standin.stream_url,
        plan=plan_of("massive", plan),
        patience=patience,
    )


CASE = Case(
    make_standin=MassiveStandIn,
    make_provider=massive,
    batch=("AAPL", "MSFT", "IBM", "BRK.B"),
    spellings={"BTC-USD": "X:BTCUSD", "EURUSD=X": "C:EURUSD", "BRK.B": "BRK.B"},
    uncovered=("0700.HK", "VOD.L", "ES=F", "^FTSE"),
    requests={"actions": 2, "fundamentals": 3},
    told_of_companies=frozenset(FIGURES) - {"beta"},
    unknown_bars=None,
    pages=True,
    life_message=False,
)


async def test_the_key_travels_in_a_header_and_never_in_an_address(standin, provider):
    await provider.fetch_quotes(["AAPL"])

    (asked,) = standin.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert_untold(asked.path, asked.params)


async def test_a_batch_of_more_than_ten_is_answered_whole(standin, provider):
    symbols = [f"T{first}{second}" for first in "ABCDE" for second in "ABCDE"]
    for symbol in symbols:
        standin.market.listed[symbol] = standin.market.listed["AAPL"].__class__(
            symbol, symbol, *[Decimal(9)] * 7
        )

    found = await provider.fetch_quotes(symbols)

    assert {quote.price for quote in found.values()} == {Decimal(9)}
    assert len(standin.asked) == 1


async def test_bars_are_asked_for_as_they_traded(standin, provider):
    start, end = datetime(2020, 8, 24, tzinfo=UTC), datetime(2020, 8, 26, tzinfo=UTC)

    bars = await provider.fetch_bars("AAPL", Interval.DAY, start, end)

    assert bars == list(standin.market.bars("AAPL", start, end, timedelta(days=1)))
    assert standin.asked[0].params["adjusted"] == "false"


async def test_days_of_coins_begin_at_midnight_utc(standin, provider):
    start = datetime(2024, 1, 8, tzinfo=UTC)

    bars = await provider.fetch_bars("BTC-USD", Interval.DAY, start, start + timedelta(days=3))

    assert [bar.start for bar in bars] == [start + timedelta(days=number) for number in range(3)]


async def test_the_running_day_is_no_bar_yet(provider, monkeypatch):
    now = datetime(2026, 3, 4, 15, 35, tzinfo=UTC)  # a Wednesday
    monkeypatch.setattr(clock, "now", lambda: now)

    bars = await provider.fetch_bars("AAPL", Interval.DAY, now - timedelta(days=3), now + timedelta(days=1))

    assert [bar.start.day for bar in bars] == [2, 3]


async def test_the_next_page_is_asked_of_our_own_host_whatever_is_named(standin, provider):
    """A request to the other host would fail, as tests may not leave the machine."""
    standin.page_size, standin.next_host = 7, "http://203.0.113.9"
    start = last_open_day().replace(hour=15)

    bars = await provider.fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(minutes=10))

    assert len(bars) == 10
    assert [asked.headers["host"] for asked in standin.asked] == [f"127.0.0.1:{standin.port}"] * 2


async def test_the_key_is_given_to_the_next_page_in_the_header_only(standin, provider, monkeypatch):
    """Some vendors' addresses of the next page carry the key that was given."""
    standin.page_size = 7
    page = standin._page

    def with_key(*args):
        body = page(*args)
        return {**body, "next_url": f"{body['next_url']}&apiKey={KEY}"} if "next_url" in body else body

    monkeypatch.setattr(standin, "_page", with_key)
    start = last_open_day().replace(hour=15)

    await provider.fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(minutes=10))

    assert [asked.headers["authorization"] for asked in standin.asked] == [f"Bearer {KEY}"] * 2
    assert_untold(*[asked.params for asked in standin.asked])


@pytest.mark.parametrize("host", ["@203.0.113.9", "https://[bad", "http://203.0.113.9?"])
async def test_a_next_page_without_a_sound_address_is_malformed(standin, provider, host):
    standin.page_size, standin.next_host = 7, host
    start = last_open_day().replace(hour=15)

    with pytest.raises(Malformed):
        await provider.fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(minutes=10))

    assert len(standin.asked) == 1


async def test_pages_without_end_are_malformed(standin, provider, monkeypatch):
    monkeypatch.setattr("marketdata.providers.massive.MAX_PAGES", 3)
    standin.page_size = 1
    start = last_open_day().replace(hour=15)

    with pytest.raises(Malformed, match="without end"):
        await provider.fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(minutes=10))

    assert len(standin.asked) == 3


async def test_a_delayed_plan_marks_what_is_late_and_only_that(standin):
    standin.is_delayed = True

    found = await massive(standin, plan="starter").fetch_quotes(["AAPL", "BTC-USD", "EURUSD=X"])

    assert {symbol: quote.delayed_s for symbol, quote in found.items()} == {
        "AAPL": 900,
        "BTC-USD": 0,
        "EURUSD=X": 0,
    }


async def test_an_end_of_day_plan_asks_for_the_day_before(standin):
    standin.has_snapshots = False
    basic = massive(standin, plan="basic")

    found = await basic.fetch_quotes(["AAPL"])

    listed = standin.market.get("AAPL")
    quote = found["AAPL"]
    assert (quote.price, quote.volume) == (listed.previous_close, listed.volume)
    assert (quote.open, quote.high, quote.low) == (listed.open, listed.high, listed.low)
    assert quote.delayed_s == 86_400
    assert quote.expires_at - quote.received_at == timedelta(hours=1)
    assert [asked.path for asked in standin.asked] == ["/v2/aggs/ticker/AAPL/prev"]


async def test_an_end_of_day_plan_knows_no_unknown_symbol_and_has_no_stream(standin):
    basic = massive(standin, plan="basic")

    found = await basic.fetch_quotes(["NOSUCH"])

    assert found["NOSUCH"].kind is Kind.NOT_FOUND
    assert not basic.capabilities.streams
    with pytest.raises(PlanLocked):
        await basic.open_stream()


async def test_a_symbol_of_a_market_outside_the_plan_is_plan_locked(standin, provider, monkeypatch):
    refused = {"ticker": "X:BTCUSD", "error": "NOT_ENTITLED", "message": "Not entitled to this ticker."}
    item = standin._item
    monkeypatch.setattr(
        standin, "_item", lambda ticker, fault: refused if ticker == "X:BTCUSD" else item(ticker, fault)
    )

    found = await provider.fetch_quotes(["AAPL", "BTC-USD"])

    assert found["BTC-USD"].kind is Kind.PLAN_LOCKED
    assert found["AAPL"].price == standin.market.get("AAPL").price


async def test_coins_have_no_corporate_actions_and_are_not_asked(standin, provider):
    day = last_open_day().date()

    assert await provider.fetch_actions("BTC-USD", day - timedelta(days=9), day) == []
    assert standin.asked == []


async def test_a_throttle_says_when_to_come_back(standin, provider, monkeypatch):
    now = datetime(2026, 1, 14, 15, 30, 20, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    standin.fail(Fault.RATE_LIMITED, 1)

    with pytest.raises(Exception, match="asks us to wait") as caught:
        await provider.fetch_quotes(["AAPL"])

    assert caught.value.retry_at == now + timedelta(seconds=17)
