from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import metrics
from core.redis import client, close_async_client
from marketdata import cache
from marketdata.cache import BEATS_KEY, LATEST_KEY, LOST_KEY, STREAMING_KEY, Found, decode, encode
from marketdata.quotes import Quote, Session, microseconds
from tests.factories import make_quote as make_row
from tests.factories import make_ticker
from tests.outages import redis_away
from tests.providers import make_quote

# Everything that a float, a 32-bit integer or a narrow column would spoil.
EXTREME = Quote(
    symbol="BRK.A",
    price=Decimal("1234567.89"),
    change=Decimal("740740.734"),
    change_percent=Decimal("150.0000"),
    volume=2**40 + 1,
    open=Decimal("0.00000001"),
    high=Decimal("1234567.89"),
    low=Decimal("0.00000001"),
    previous_close=Decimal("493827.156"),
    bid=Decimal("1234567.88"),
    ask=Decimal("1234567.90"),
    as_of=datetime(2026, 3, 2, 14, 30, 0, 123457, tzinfo=UTC),
    received_at=datetime(2026, 3, 2, 14, 30, 1, 1, tzinfo=UTC),
    expires_at=datetime(2026, 3, 2, 14, 30, 16, 999999, tzinfo=UTC),
    provider="replay",
    session=Session.POST,
    replay_date=date(2012, 10, 25),
    halted=True,
    delayed_s=900,
    epoch=2**40,
    seq=2**41,
    size=2**42,
)
PRICES = st.decimals(Decimal("0.00000001"), Decimal(10**11), places=8)


@pytest.fixture(autouse=True)
def empty():
    client().flushall()
    cache.forget_memory()


ALIVE = "9999999999"  # a beat that stays a late one, however long the machine takes


def reads(tier: str) -> float:
    return metrics.quote_reads.labels(tier=tier)._value.get()


def test_what_is_written_to_redis_is_read_back_exactly():
    assert decode(encode(EXTREME)) == EXTREME


@given(
    price=PRICES,
    bid=st.none() | PRICES,
    volume=st.none() | st.integers(0, 2**63 - 1),
    us=st.integers(0, 10**16),
)
def test_any_quote_survives_the_round_trip(price, bid, volume, us):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    quote = replace(
        EXTREME, price=price, bid=bid, volume=volume, as_of=moment, replay_date=None, halted=False
    )

    assert decode(encode(quote)) == quote


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[1]", b"not json", b"1", b"null", b'{"t":1,"symbol":"A"}', encode(EXTREME)[:-9]]
)
def test_what_is_no_quote_is_an_error(raw):
    with pytest.raises(ValueError):  # noqa: PT011 -- the JSON reader and the decoder word it differently
        decode(raw)


def test_the_time_stands_first_so_that_a_script_can_compare_ages():
    assert encode(EXTREME).startswith(b'{"t":1772461800123457,')


def test_memory_answers_for_a_second_only(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(cache, "time", SimpleNamespace(monotonic=lambda: now))
    cache.remember(Found(EXTREME, streaming=True))
    now += 0.99
    assert cache.from_memory(["BRK.A", "MSFT"]) == {"BRK.A": Found(EXTREME, streaming=True)}

    now += 0.02
    assert cache.from_memory(["BRK.A"]) == {}


def test_memory_withstands_many_threads(monkeypatch):
    monkeypatch.setattr(cache, "MEMORY_TTL_S", 0.001)
    monkeypatch.setattr(cache, "MEMORY_SYMBOLS", 50)
    monkeypatch.setattr(cache, "_memory", {})
    symbols = [f"S{number}" for number in range(100)]
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(30)
        for _ in range(30):
            for symbol in symbols:
                cache.remember(Found(replace(EXTREME, symbol=symbol), streaming=False))
            cache.from_memory(symbols)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work) for _ in range(8)]:
            future.result()
    assert len(cache._memory) == 50


def test_redis_tells_the_quote_and_whether_a_living_owner_streams_it(monkeypatch):
    monkeypatch.setattr(cache, "MEMORY_TTL_S", 600.0)
    cache.fill_redis([make_quote("LIVE"), make_quote("DEAD"), make_quote("IDLE")])
    client().hset(STREAMING_KEY, mapping={"LIVE": "0", "DEAD": "1"})
    client().hset(BEATS_KEY, mapping={"0": ALIVE, "1": str(time.time() - 3.5)})
    before = reads("redis")

    found = cache.from_redis(["LIVE", "DEAD", "IDLE", "NONE"])

    assert {symbol: one.streaming for symbol, one in found.items()} == {
        "LIVE": True,
        "DEAD": False,
        "IDLE": False,
    }
    assert reads("redis") == before + 3
    assert cache.from_memory(["LIVE"]) == {"LIVE": found["LIVE"]}


def test_a_text_that_another_version_wrote_is_a_miss():
    client().hset(
        LATEST_KEY, mapping={"OLD": b'{"v":0}', "ODD": b'{"t":1,"price":"x"}', "GOOD": encode(EXTREME)}
    )

    assert set(cache.from_redis(["OLD", "ODD", "GOOD"])) == {"GOOD"}


def test_a_redis_that_is_away_is_a_miss_and_is_counted():
    before = metrics.redis_failures.labels(used_by="quotes")._value.get()
    with redis_away():
        assert cache.from_redis(["AAPL"]) == {}
        cache.fill_redis([EXTREME])

    assert metrics.redis_failures.labels(used_by="quotes")._value.get() == before + 2


def test_filling_keeps_the_newer_of_two():
    new = make_quote("AAPL", "2")
    old = replace(new, price=Decimal(1), as_of=new.as_of - timedelta(microseconds=1))

    cache.fill_redis([new])
    cache.fill_redis([old])
    assert cache.from_redis(["AAPL"])["AAPL"].quote == new

    newest = replace(new, price=Decimal(3), as_of=new.as_of + timedelta(microseconds=1))
    cache.fill_redis([newest])
    assert cache.from_redis(["AAPL"])["AAPL"].quote == newest


def later(quote: Quote, seconds: int, **fields) -> Quote:
    gone = timedelta(seconds=seconds)
    return replace(quote, received_at=quote.received_at + gone, expires_at=quote.expires_at + gone, **fields)


def test_a_fetch_that_brings_nothing_newer_still_counts_as_checked():
    known = replace(make_quote("AAPL", "2"), epoch=3, seq=9)
    cache.fill_redis([known])

    cache.fill_redis([later(known, 15, price=Decimal(1), epoch=0, seq=0)])
    assert cache.from_redis(["AAPL"])["AAPL"].quote == later(known, 15)

    cache.fill_redis([later(known, 5)])
    assert cache.from_redis(["AAPL"])["AAPL"].quote == later(known, 15)


@pytest.mark.parametrize(
    ("epoch", "beat_age_s", "replaced"), [(3, -600, False), (3, 3.5, True), (3, None, True), (0, -600, True)]
)
def test_filling_never_hides_the_position_of_what_streams(epoch, beat_age_s, replaced):
    ticked = replace(make_quote("AAPL", "2"), epoch=epoch, seq=epoch)
    cache.fill_redis([ticked])
    client().hset(STREAMING_KEY, "AAPL", "0")
    if beat_age_s is not None:
        client().hset(BEATS_KEY, "0", str(time.time() - beat_age_s))
    newer = later(ticked, 1, as_of=ticked.as_of + timedelta(seconds=1), price=Decimal(3), epoch=0, seq=0)

    cache.fill_redis([newer])

    assert cache.from_redis(["AAPL"])["AAPL"].quote == (newer if replaced else ticked)


def test_whether_an_owner_is_alive_goes_by_the_clock_of_redis_alone(monkeypatch):
    right = time.time()
    client().hset(BEATS_KEY, "0", str(right + 600))
    client().hset(STREAMING_KEY, "AAPL", "0")
    cache.fill_redis([make_quote("AAPL")])
    wrong = right + 3600
    monkeypatch.setattr(time, "time", lambda: wrong)

    assert cache.from_redis(["AAPL"])["AAPL"].streaming


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 3])
def test_the_database_answers_in_one_query(number, django_assert_num_queries):
    symbols = [make_row(make_ticker(), "12.5").ticker.symbol for _ in range(number)]
    before = reads("database")

    with django_assert_num_queries(1):
        found = cache.from_database([*symbols, "NONE"])

    assert {symbol: one.quote.price for symbol, one in found.items()} == dict.fromkeys(
        symbols, Decimal("12.5")
    )
    assert not any(one.streaming for one in found.values())
    assert reads("database") == before + number


def test_asking_for_nothing_asks_nobody():
    with redis_away():
        before = metrics.redis_failures.labels(used_by="quotes")._value.get()
        assert cache.from_redis([]) == {}
        assert cache.from_database([]) == {}
        assert metrics.redis_failures.labels(used_by="quotes")._value.get() == before


async def test_more_symbols_than_a_script_can_hand_on_are_read_as_well():
    cache.fill_redis([EXTREME])
    client().hset(STREAMING_KEY, "S8999", "0")
    client().hset(LOST_KEY, "S0", microseconds(EXTREME.as_of))
    symbols = [*(f"S{number}" for number in range(9_000)), "BRK.A"]

    assert cache.from_redis(symbols) == {"BRK.A": Found(EXTREME, streaming=False)}
    assert await cache.read_latest(symbols) == cache.Look(
        {"BRK.A": encode(EXTREME)}, frozenset({"S8999"}), {"S0": EXTREME.as_of}, alive=False
    )
    await close_async_client()


async def test_the_latest_of_many_come_raw_with_the_tapes_sign_of_life():
    cache.fill_redis([EXTREME])

    client().hset(STREAMING_KEY, "MSFT", "0")
    client().hset(LOST_KEY, "BRK.A", microseconds(EXTREME.as_of))

    assert await cache.read_latest(["BRK.A", "MSFT"]) == cache.Look(
        {"BRK.A": encode(EXTREME)}, frozenset({"MSFT"}), {"BRK.A": EXTREME.as_of}, alive=False
    )
    client().hset(BEATS_KEY, "0", ALIVE)
    assert await cache.read_latest([]) == cache.Look({}, frozenset(), {}, alive=True)
    await close_async_client()
