"""Upstream connections of a running tape: what is said to stream really does, and another provider steps in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from core import clock
from core.database import in_thread
from core.redis import client
from marketdata import cache, lookup, polling
from marketdata.cache import BEATS_KEY
from marketdata.errors import PlanLocked, ProviderDown, Unauthorized
from marketdata.models import ProviderCall
from marketdata.models import Quote as QuoteRow
from marketdata.models import Upstream as UpstreamRow
from marketdata.providers import registry
from marketdata.quotes import Correction, Tick
from marketdata.tape import openset, owner, routing
from tests.marketdata.tape.test_owner import begin, tape, unconnected
from tests.outages import postgres_switch
from tests.providers import Scripted, make_quote
from tests.tapes import Tape

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["tape", "unconnected"]


@pytest.fixture
def second(tape) -> Iterator[Scripted]:
    """Another provider that streams, less preferred than the tape's own."""
    other = Scripted(name="second")
    other.outcomes = tape.provider.outcomes  # no first quote from it either
    with registry.override(tape.provider, other):
        yield other


def stream_at_most(provider: Scripted, symbols: int) -> None:
    provider.capabilities = replace(provider.capabilities, max_streamed_symbols=symbols)


def tick_of(provider: str, price: str, **fields) -> Tick:
    return Tick("AAPL", Decimal(price), 10, 1000, clock.now_us(), provider, **fields)


async def streams(tape: Tape, *symbols: str) -> None:
    """Until Redis says that exactly these stream, and that their owner lives."""
    await tape.until(lambda: tape.said_open() == set(symbols) and client().hexists(BEATS_KEY, "0"))


# --- truth


async def test_what_is_lost_does_not_count_as_streaming_until_it_is_back(tape):
    await tape.watch("AAPL", "MSFT")
    tape.start()
    await streams(tape, "AAPL", "MSFT")
    tape.provider.connect_failure = PlanLocked("for now")

    tape.provider.cut()

    await streams(tape)
    assert openset.streaming(["AAPL", "MSFT"]) == set()


async def test_while_upstream_is_lost_the_next_provider_is_polled_and_what_it_says_is_published(tape, second):
    second.capabilities = replace(second.capabilities, streams=False)
    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    tape.send("AAPL", "100.00")
    await tape.publishes("AAPL", "100.00")
    tape.provider.connect_failure = tape.provider.failure = ProviderDown("gone")
    tape.provider.cut()
    await streams(tape)
    cache.forget_memory()
    now = clock.now()
    second.outcomes["AAPL"] = make_quote("AAPL", "100.20", provider="second", as_of=now, received_at=now)
    outdated = {"received": now.timestamp() - 3600}

    def poll() -> None:
        quote = tape.latest()["AAPL"]
        old = replace(
            quote, received_at=quote.received_at.fromtimestamp(outdated["received"], quote.as_of.tzinfo)
        )
        if quote.provider == "scripted":
            client().hset(cache.LATEST_KEY, "AAPL", cache.encode(old))
        # The tape may have stored it by now, or not yet.
        QuoteRow.objects.filter(provider="scripted").update(received_at=old.received_at)
        cache.forget_memory()
        polling.fetch_wanted()

    async def is_polled() -> bool:
        await in_thread(poll)
        return any('"p":"100.20"' in event["d"] for event in tape.published("AAPL"))

    await tape.until(is_polled)

    frame = json.loads((await tape.publishes("AAPL", "100.20"))["d"])
    assert frame["pr"] == "second"
    assert tape.latest()["AAPL"].rebased


async def test_what_streams_again_is_looked_up_before_it_counts(tape, monkeypatch):
    looked_up: list[tuple[list[str], set[str]]] = []
    get_quotes = lookup.get_quotes

    def noted(symbols, **kwargs):
        looked_up.append((list(symbols), tape.said_open()))
        return get_quotes(symbols, **kwargs)

    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    monkeypatch.setattr(lookup, "get_quotes", noted)
    tape.provider.connect_failure = ProviderDown("gone")
    tape.provider.cut()
    await streams(tape)

    tape.provider.connect_failure = None

    await streams(tape, "AAPL")
    assert looked_up == [(["AAPL"], set())]


# --- another provider


async def test_who_refuses_our_key_is_replaced_by_the_next_that_streams_and_says_so(tape, second):
    tape.provider.connect_failure = Unauthorized("it refuses our key")
    await tape.watch("AAPL", "MSFT")
    tape.start()

    await tape.until(lambda: second.open == {"AAPL", "MSFT"})
    await streams(tape, "AAPL", "MSFT")

    async def rows() -> dict[str, tuple[str, int, str]]:
        found = await in_thread(lambda: list(UpstreamRow.objects.all()))
        return {row.provider: (row.state, row.symbols_open, row.last_error) for row in found}

    async def is_told() -> bool:
        told = await rows()
        return told.get("second") == ("open", 2, "") and told["scripted"][0] == "waiting"

    await tape.until(is_told)
    assert (await rows())["scripted"][2].startswith("Unauthorized: it refuses our key; next try at ")
    assert tape.provider.connects == 1


async def test_the_preferred_provider_gets_its_symbols_back_when_it_has_been_open_for_a_while(
    tape, second, monkeypatch
):
    monkeypatch.setattr(routing, "BACK_AFTER_S", 0.5)
    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    monkeypatch.setattr(routing, "GONE_AFTER_S", 0.3)  # not before it is open, which may take longer
    tape.provider.connect_failure = ProviderDown("gone")
    tape.provider.cut()
    await tape.until(lambda: second.open == {"AAPL"})
    held: list[tuple[set[str], set[str]]] = []
    tape.provider.connect_failure = None

    def is_back() -> bool:
        held.append((tape.provider.open, second.open))
        return (tape.provider.open, second.open) == ({"AAPL"}, set())

    await tape.until(is_back)

    await streams(tape, "AAPL")
    assert ({"AAPL"}, {"AAPL"}) not in held  # the one is closed before, or the other opened after
    assert len(tape.provider.streams) == 1


async def test_ticks_of_a_provider_that_has_been_replaced_do_not_count(tape, second):
    tape.provider.connect_failure = Unauthorized("no")
    await tape.watch("AAPL")
    office = await begin()
    await tape.until(lambda: second.open == {"AAPL"})
    second.emit(tick_of("second", "100.00"))
    await tape.publishes("AAPL", "100.00")

    office.term.on_ticks([tick_of("scripted", "100.10")])
    second.emit(tick_of("second", "100.20"))

    await tape.publishes("AAPL", "100.20")
    assert office.term.counts["scripted"].refused == {"not_wanted": 1}
    await office.end()


async def test_a_switch_of_provider_is_published_as_another_base(tape, second):
    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    tape.send("AAPL", "100.00")
    await tape.publishes("AAPL", "100.00")
    assert not tape.latest()["AAPL"].rebased
    tape.provider.connect_failure = Unauthorized("no")
    tape.provider.cut()
    await tape.until(lambda: second.open == {"AAPL"})

    second.emit(tick_of("second", "102.00", previous_close=Decimal("101.00")))
    second.emit(tick_of("second", "102.02", previous_close=Decimal("101.00")))

    await tape.publishes("AAPL", "102.02")
    quote = tape.latest()["AAPL"]
    assert (quote.provider, quote.rebased, quote.change) == ("second", True, Decimal("1.02"))
    second.emit(tick_of("second", "102.03"))
    await tape.publishes("AAPL", "102.03")
    assert not tape.latest()["AAPL"].rebased


async def test_a_lone_tick_of_another_provider_is_shown_after_a_while(tape, second, monkeypatch):
    monkeypatch.setattr("marketdata.acceptance.SOURCE_PATIENCE_US", 100_000)
    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    tape.send("AAPL", "100.00")
    await tape.publishes("AAPL", "100.00")
    tape.provider.connect_failure = Unauthorized("no")
    tape.provider.cut()
    await tape.until(lambda: second.open == {"AAPL"})

    second.emit(tick_of("second", "102.00"))

    await tape.publishes("AAPL", "102.00")


async def test_the_busiest_symbols_stream_and_the_others_go_to_the_next_provider(tape, second):
    stream_at_most(tape.provider, 2)
    stream_at_most(second, 1)
    await tape.watch("AAPL", people=1)
    await tape.watch("MSFT", people=4)
    await tape.watch("NVDA", people=3)
    await tape.watch("TSLA", people=2)
    office = await begin()

    await tape.until(lambda: (tape.provider.open, second.open) == ({"MSFT", "NVDA"}, {"TSLA"}))

    await streams(tape, "MSFT", "NVDA", "TSLA")
    assert office.term.streams.routes.over == {"scripted": 2, "second": 1}
    await office.end()


# --- one connection


async def test_a_successor_connects_only_when_a_former_owner_had_time_to_let_go(tape, monkeypatch):
    await tape.watch("AAPL")
    await openset.beat(
        owner.async_client(), 0, 1
    )  # somebody beats who does not know yet that its lease is gone
    monkeypatch.setattr(cache, "BEAT_MISSED_AFTER_S", 600.0)
    monkeypatch.setattr(owner, "FORMER_BEATS", 1_000_000)
    office = await begin()
    await tape.until(lambda: office.term.open == {"AAPL"})
    await tape.until(lambda: int(client().get(openset.epoch_key(0)) or 0) == office.term.epoch)
    assert tape.provider.connects == 0

    office.term.streams.not_before = clock.monotonic()

    await tape.opens("AAPL")
    await office.end()


async def test_a_shard_beyond_the_connections_of_a_key_leaves_the_provider_alone(tape, second):
    symbols = [f"S{number}" for number in range(12)]
    second.capabilities = replace(second.capabilities, connections_per_key=3)
    mine = {symbol for symbol in symbols if owner.shard_of(symbol, 3) == 1}
    await tape.watch(*symbols)

    office = await begin(1, 3)

    await tape.until(lambda: second.open == mine)
    assert tape.provider.connects == 0
    await office.end()


# --- what is published besides


async def test_a_halt_is_shown_as_such_and_a_resumption_clears_it(tape):
    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    tape.send("AAPL", "100.00")
    await tape.publishes("AAPL", "100.00")

    tape.provider.emit(tick_of("scripted", "100.00", halted=True))
    await tape.until(lambda: tape.latest()["AAPL"].halted)
    cache.forget_memory()
    outcome = (await in_thread(lookup.get_quotes, ["AAPL"]))["AAPL"]
    halted = (outcome.halted, outcome.stale)
    tape.provider.emit(tick_of("scripted", "100.50"))
    await tape.publishes("AAPL", "100.50")

    assert halted == (True, False)
    assert not tape.latest()["AAPL"].halted


async def test_when_the_last_trade_is_taken_back_the_price_before_it_is_published_and_the_bar_corrected(tape):
    await tape.watch("AAPL")
    office = await begin()
    await streams(tape, "AAPL")
    good, bad = tick_of("scripted", "100.00", trade_id="1"), tick_of("scripted", "110.00", trade_id="2")
    bad = replace(bad, as_of_us=good.as_of_us)  # in one minute, however slow the machine
    tape.provider.emit(good, bad)
    await tape.publishes("AAPL", "110.00")

    tape.provider.emit(Correction("AAPL", "scripted", clock.now_us(), trade_id="2"))
    tape.provider.emit(Correction("AAPL", "scripted", clock.now_us(), trade_id="99"))

    event = await tape.publishes("AAPL", "100.00")
    assert event["n"] == 2
    await tape.stores("AAPL", "100.00")

    async def is_corrected() -> bool:
        bars = list((await tape.bars()).values())
        return [(bar.high, bar.close, bar.volume) for bar in bars] == [(100, 100, 10)]

    await tape.until(is_corrected)
    assert office.term.counts["scripted"].refused == {"unknown_correction": 1}
    await office.end()


async def test_the_minutes_that_were_streamed_are_in_the_ledger(tape):
    await tape.watch("AAPL", "MSFT")
    tape.start()
    await streams(tape, "AAPL", "MSFT")

    await tape.stop()

    def calls() -> list[tuple[str, str, str, str, list[str]]]:
        found = ProviderCall.objects.filter(endpoint="stream")
        return [(one.provider, one.cause, one.unit, one.outcome, one.symbols) for one in found]

    assert await in_thread(calls) == [("scripted", "stream", "symbol_minute", "ok", ["AAPL", "MSFT"])]
    assert (await in_thread(lambda: ProviderCall.objects.get(endpoint="stream").units)) > 0


async def test_another_provider_steps_in_while_postgres_is_away_too(tape, second):
    await tape.watch("AAPL")
    tape.start()
    await streams(tape, "AAPL")
    with postgres_switch() as postgres:
        postgres.off()
        tape.provider.connect_failure = Unauthorized("no")
        tape.provider.cut()

        await tape.until(lambda: second.open == {"AAPL"})
        postgres.on()
