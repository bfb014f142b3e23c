"""The tape from upstream to PostgreSQL and to the groups, while things go wrong."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest

from core.database import in_thread
from core.models import Lease
from core.redis import client, close_async_client
from marketdata import demand, polling
from marketdata.cache import BEATS_KEY, STREAMING_KEY
from marketdata.models import MinuteBar, Ticker, Upstream
from marketdata.tape import openset
from subscriptions.models import Subscription
from tests.factories import make_minute_bar, make_subscription
from tests.outages import Gate, postgres_switch, redis_at
from tests.providers import make_quote
from tests.tapes import Tape

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quiet")]


@pytest.fixture
def quiet(caplog) -> None:
    """What is provoked on purpose need not fill the log."""
    caplog.set_level("ERROR")


def rising(tape: Tape) -> bool:
    """Whether the numbers rise strictly per symbol and epoch, and the epochs per symbol."""
    last: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for event in tape.events:
        position = (event["e"], event["n"])
        if position <= last[event["s"]]:
            return False
        last[event["s"]] = position
    return True


async def epoch() -> int:
    return (await in_thread(Lease.objects.get)).epoch


async def test_open_follows_wanted_with_one_subscription_for_any_number_of_people(tape):
    await tape.watch("AAPL", "MSFT", people=5)
    tape.start()
    await tape.opens("AAPL", "MSFT")

    await tape.watch("NVDA", people=3)
    await tape.unwatch("MSFT")
    demand.changed()
    await tape.opens("AAPL", "NVDA")

    await tape.until(lambda: tape.said_open() == {"AAPL", "NVDA"})
    assert tape.provider.subscribed == {"AAPL": 1, "MSFT": 1, "NVDA": 1}
    assert tape.provider.connects == 1


async def test_who_removes_and_adds_a_ticker_again_closes_nothing_upstream(tape, monkeypatch):
    monkeypatch.setattr("marketdata.tape.owner.CLOSE_GRACE_S", 60)
    await tape.watch("AAPL", "MSFT")
    tape.start()
    await tape.opens("AAPL", "MSFT")

    await tape.unwatch("MSFT")
    await tape.watch("NVDA")
    await tape.opens("AAPL", "MSFT", "NVDA")
    await tape.watch("MSFT")
    await tape.watch("TSLA")
    await tape.opens("AAPL", "MSFT", "NVDA", "TSLA")

    assert set(tape.provider.subscribed.values()) == {1}


async def test_every_tick_counts_for_the_bar_and_the_newest_is_published(tape):
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")

    prices = [f"{100 + number % 7}.{number:02}" for number in range(100)]
    tape.send("AAPL", *prices)
    await tape.publishes("AAPL", prices[-1])
    tape.send("AAPL", "101.50")
    await tape.publishes("AAPL", "101.50")

    assert len(tape.published("AAPL")) <= 3
    await tape.stores_every_tick()
    await tape.stores("AAPL", "101.50")
    assert rising(tape)


async def test_everything_is_said_again_after_redis_lost_it_while_ticks_keep_coming(tape):
    await tape.watch("BUSY", "QUIET")
    tape.start()
    await tape.opens("BUSY", "QUIET")
    tape.send("QUIET", "55.00")
    await tape.publishes("QUIET", "55.00")
    await tape.until(lambda: client().hexists(BEATS_KEY, "0"))

    client().flushall()
    tape.send("BUSY", "10.00")  # publishing raises the epoch again by itself
    await tape.publishes("BUSY", "10.00")

    await tape.until(lambda: set(tape.latest()) == {"BUSY", "QUIET"})
    await tape.until(lambda: tape.said_open() == {"BUSY", "QUIET"})
    await tape.until(lambda: openset.streaming(["QUIET"]) == {"QUIET"})
    assert int(client().get(openset.epoch_key(0))) == await epoch()
    assert rising(tape)


async def test_after_a_hard_end_another_owner_goes_on(tape):
    await tape.watch("AAPL", "MSFT")
    tape.start()
    await tape.opens("AAPL", "MSFT")
    tape.send("AAPL", "100.00", "101.00")
    await tape.stores_every_tick()
    first = await epoch()
    await tape.kill()
    await tape.run_out()

    tape.start()
    await tape.opens("AAPL", "MSFT")
    tape.send("AAPL", "99.00", "102.00")

    event = await tape.publishes("AAPL", "102.00")
    assert event["e"] == await epoch() > first
    await tape.stores_every_tick()
    await tape.stores("AAPL", "102.00")
    assert rising(tape)


async def test_a_standby_waits_and_takes_over_at_once_from_an_owner_that_stops(tape):
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    standby = Tape(tape.provider, tape._redis_url)
    standby.start()
    tape.send("AAPL", "100.00")
    await tape.stores("AAPL", "100.00")
    first = await epoch()
    assert tape.provider.connects == 1

    await tape.stop()

    async def taken_over() -> bool:
        return await epoch() > first

    await tape.until(taken_over)
    await tape.opens("AAPL")
    assert tape.provider.connects == 2
    await standby.stop()


async def test_what_a_former_owner_left_open_is_dropped(tape):
    client().hset(STREAMING_KEY, mapping={"GONE": "0", "OTHERS": "1"})
    client().hset(BEATS_KEY, "1", client().time()[0] + 60)  # another shard lives
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")

    await tape.until(lambda: tape.said_open() == {"AAPL", "OTHERS"})


async def test_a_takeover_does_not_touch_the_bar_of_a_minute_that_is_over(tape):
    await tape.watch("AAPL")
    quote = make_quote("AAPL", "50", provider="scripted")
    before = quote.as_of.replace(second=0, microsecond=0) - timedelta(minutes=1)
    tape.provider.outcomes["AAPL"] = make_quote("AAPL", "50", as_of=before + timedelta(seconds=59))
    ticker = await in_thread(lambda: Ticker.objects.get(symbol="AAPL"))
    await in_thread(make_minute_bar, ticker, before, "49")

    tape.start()
    await tape.opens("AAPL")
    await tape.publishes("AAPL", "50.00")
    tape.send("AAPL", "50.50")
    await tape.stores("AAPL", "50.50")
    await tape.stop()

    row = await in_thread(lambda: MinuteBar.objects.get(start=before))
    assert (row.open, row.high, row.low, row.close, row.volume) == (49, 50, 48, 49, 10)


async def test_while_redis_is_away_ticks_reach_postgres_and_afterwards_everybody_again(tape, settings):
    with Gate(settings.REDIS_URL) as gate, redis_at(gate.url):
        await close_async_client()
        await tape.watch("AAPL", "MSFT")
        tape.start()
        await tape.opens("AAPL", "MSFT")
        tape.send("AAPL", "100.00")
        await tape.publishes("AAPL", "100.00")
        await tape.until(lambda: "AAPL" in tape.said_open())

        gate.close()
        tape.send("AAPL", "101.00", "102.00")
        await tape.stores("AAPL", "102.00")
        await tape.stores_every_tick()
        await tape.watch("NVDA")
        await tape.unwatch("MSFT")
        await tape.opens("AAPL", "NVDA")
        tape.send("NVDA", "7.00")
        await tape.stores("NVDA", "7.00")
        assert len(tape.published("NVDA")) == 0

        gate.open()
        await tape.publishes("AAPL", "102.00")
        await tape.publishes("NVDA", "7.00")
        await tape.until(lambda: tape.said_open() == {"AAPL", "NVDA"})
        assert tape.provider.connects == 1
        assert rising(tape)
        await tape.close()
        await close_async_client()


async def test_a_lost_upstream_connection_is_opened_again_with_all_that_is_wanted(tape):
    await tape.watch("AAPL", "MSFT")
    tape.start()
    await tape.opens("AAPL", "MSFT")
    tape.send("AAPL", "100.00")
    await tape.publishes("AAPL", "100.00")

    tape.provider.cut()
    await tape.until(lambda: tape.provider.connects == 2)
    await tape.opens("AAPL", "MSFT")
    tape.send("AAPL", "100.50")

    await tape.publishes("AAPL", "100.50")
    await tape.stores_every_tick()

    async def reported() -> bool:
        row = await in_thread(Upstream.objects.first)
        return row is not None and (row.state, row.symbols_open) == ("open", 2) and "cut" in row.last_error

    await tape.until(reported)


async def test_a_database_that_fails_for_a_while_loses_no_bar(tape):
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    tape.send("AAPL", "100.00")
    await tape.stores_every_tick()
    with postgres_switch() as postgres:
        postgres.off()
        for price in ("100.10", "100.20", "99.90"):
            tape.send("AAPL", price)
            await tape.publishes("AAPL", price)
        postgres.on()
        tape.send("AAPL", "100.30")

        await tape.stores_every_tick()
        await tape.stores("AAPL", "100.30")
    assert rising(tape)


async def test_a_wish_made_while_the_database_failed_is_opened_when_it_returns(tape):
    await tape.watch("AAPL", "NVDA")
    await tape.unwatch("NVDA")
    tape.start()
    await tape.opens("AAPL")
    nvda = await in_thread(lambda: Ticker.objects.get(symbol="NVDA"))
    apple = await in_thread(lambda: Ticker.objects.get(symbol="AAPL").subscriptions.first().user)
    await in_thread(make_subscription, apple, nvda)

    with postgres_switch() as postgres:
        postgres.off()
        postgres.on()
        await tape.opens("AAPL", "NVDA")


async def test_a_quote_that_was_fetched_is_accepted_numbered_and_published_like_a_tick(tape):
    tape.provider.capabilities = type(tape.provider)(streams=False).capabilities
    await tape.watch("AAPL")
    tape.provider.outcomes["AAPL"] = make_quote("AAPL", "33.00")
    tape.start()
    await tape.until(lambda: client().hexists(BEATS_KEY, "0"))

    async def is_published() -> bool:
        await in_thread(polling.fetch_wanted)
        return bool(tape.published("AAPL"))

    await tape.until(is_published)
    (event,) = tape.published("AAPL")
    assert (event["e"], event["n"]) == (await epoch(), 1)
    await tape.stores("AAPL", "33.00")
    assert tape.provider.asked_symbols == {"AAPL": 1}


async def test_deleting_a_ticker_that_is_open_stops_nothing(tape, monkeypatch):
    await tape.watch("AAPL", "GONE")
    tape.start()
    await tape.opens("AAPL", "GONE")
    tape.send("GONE", "5.00")
    await tape.stores("GONE", "5.00")

    def delete() -> None:
        Subscription.objects.filter(ticker__symbol="GONE").delete()
        Ticker.objects.get(symbol="GONE").delete()

    monkeypatch.setattr("marketdata.tape.owner.CLOSE_GRACE_S", 60)
    await in_thread(delete)
    tape.send("GONE", "5.10")
    tape.send("AAPL", "100.00")
    await tape.stores("AAPL", "100.00")
    monkeypatch.setattr("marketdata.tape.owner.CLOSE_GRACE_S", 0)
    await tape.opens("AAPL")
    tape.send("AAPL", "100.10")
    await tape.stores("AAPL", "100.10")


async def test_a_clean_stop_writes_what_is_left_and_lets_the_next_in(tape):
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    tape.send("AAPL", "100.00")
    await tape.publishes("AAPL", "100.00")
    tape.send("AAPL", "100.10")
    await tape.until(lambda: client().hexists(BEATS_KEY, "0"))

    # Until the loop has handed the last tick over; a stop drops nothing that was accepted.
    await tape.publishes("AAPL", "100.10")
    await tape.stop()

    assert (await tape.stored("AAPL")).price == tape.sent[-1].price
    await tape.stores_every_tick()
    assert (await in_thread(Upstream.objects.get)).state == "closed"
    assert not client().hexists(BEATS_KEY, "0")
    first = await epoch()
    tape.start()
    await tape.opens("AAPL")
    assert await epoch() > first


async def test_a_stop_while_postgres_is_away_is_no_error(tape):
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    with postgres_switch() as postgres:
        postgres.off()
        await tape.stop()
