from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import CharField, IntegerField, Value

from core import clock, metrics
from core.redis import client
from marketdata import attention, cache, claims, demand, lookup, polling, quota, quoting
from marketdata.cache import BEATS_KEY, LATEST_KEY, STREAMING_KEY, decode
from marketdata.calendar import NEW_YORK
from marketdata.errors import NotFound, ProviderDown
from marketdata.models import Cause, Ticker
from marketdata.providers import chain, registry
from marketdata.providers.base import Window
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from marketdata.quotes import microseconds
from marketdata.tape import openset
from marketdata.tape.sharding import shard_of
from tests.factories import make_subscription, make_ticker, make_user
from tests.outages import redis_away
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)


RUN_S = polling.RUN_S


@pytest.fixture(autouse=True)
def provider(settings, monkeypatch) -> Iterator[Scripted]:
    monkeypatch.setattr(polling, "RUN_S", 30.0)  # as long as a busy machine needs
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 30.0)
    monkeypatch.setattr(claims, "SETTLED_MS", 200_000)
    monkeypatch.setattr(attention.looked_at, "__defaults__", (timedelta(hours=1),))  # by the clock of Redis
    client().flushall()
    cache.forget_memory()
    attention.forget()
    settings.DEMO_SYMBOLS = []
    scripted = Scripted(streams=False)
    with registry.override(scripted):
        yield scripted
    lookup.fetcher.close()


@pytest.fixture
def watched() -> list[str]:
    user = make_user(tier="expert")
    return [make_subscription(user, make_ticker(f"S{n}")).ticker.symbol for n in range(4)]


def inbox(shard: int = 0) -> dict[str, Decimal]:
    entries = client().xrange(openset.inbox_key(shard))
    quotes = [decode(fields[b"q"]) for _, fields in entries]
    return {quote.symbol: quote.price for quote in quotes}


def stream(*symbols: str) -> None:
    client().hset(STREAMING_KEY, mapping=dict.fromkeys(symbols, "0"))
    client().hset(BEATS_KEY, "0", str(time.time() + 600))  # alive for as long as the test takes


def test_wanted_tickers_that_do_not_stream_are_fetched_once_and_handed_to_the_tape(provider, watched):
    stream("S0", "S1")
    other = make_user()
    make_subscription(other, make_ticker("S9"))

    assert polling.fetch_wanted() == 3

    assert sorted(provider.asked_symbols.elements()) == ["S2", "S3", "S9"]
    assert len(provider.requests) == 1
    assert inbox() == dict.fromkeys(["S2", "S3", "S9"], Decimal(100))


def test_what_is_still_fresh_is_not_bought_again(provider, watched, at):
    at(clock.now())
    polling.fetch_wanted()
    polling.fetch_wanted()

    assert set(provider.asked_symbols.values()) == {1}


@pytest.fixture
def at(monkeypatch):
    """Set the clock; what other processes know by their own clocks is forgotten."""

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)
        monkeypatch.setattr(clock, "now_us", lambda: microseconds(moment))
        cache.forget_memory()
        client().delete(*client().keys("quote:claim:*") or ["none"])

    return set_clock


@pytest.fixture
def new_york(provider):
    """The provider keeps the hours of its market, and does not stream."""
    provider.capabilities = replace(provider.capabilities, always_open=False)


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def asked_after(provider, at, start: datetime, seconds: int, *, as_of: datetime | None = None) -> list[int]:
    """After how many seconds the timer, which runs every 5 s, asked the provider; it answers 0.3 s later."""
    found = []
    for passed in range(0, seconds, 5):
        now = start + timedelta(seconds=passed)
        at(now)
        before = len(provider.requests)
        answered = now + timedelta(seconds=0.3)
        provider.outcomes = {
            f"S{n}": make_quote(
                f"S{n}", as_of=as_of or now, received_at=answered, expires_at=answered + timedelta(seconds=15)
            )
            for n in range(4)
        }
        polling.fetch_wanted()
        if len(provider.requests) > before:
            wait_until_kept(provider, before)
            found.append(passed)
    return found


def wait_until_kept(provider, before: int) -> None:
    """What was bought reaches the other tiers a little after its answer, by another thread."""

    def received(symbol: str) -> datetime | None:
        raw = client().hget(LATEST_KEY, symbol)
        return decode(raw).received_at if raw else None

    for symbol in [symbol for request in provider.requests[before:] for symbol in request]:
        moment = provider.outcomes[symbol].received_at if symbol in provider.outcomes else clock.now()
        while received(symbol) != moment:
            pass


MORNING = ny("2026-07-14T10:00")


@pytest.mark.parametrize("quiet_for", [timedelta(0), timedelta(minutes=40)])
def test_what_somebody_looks_at_is_asked_every_15_s_however_long_ago_its_last_trade_was(
    provider, watched, at, new_york, quiet_for
):
    attention.look(watched)

    asked = asked_after(provider, at, MORNING, 61, as_of=MORNING - quiet_for)

    assert asked == [0, 15, 30, 45, 60]
    assert set(provider.asked_symbols.values()) == {5}


def test_what_nobody_looks_at_is_asked_every_five_minutes(provider, watched, at, new_york):
    assert asked_after(provider, at, MORNING, 601) == [0, 300, 600]


def test_after_the_close_everything_is_asked_every_five_minutes(provider, watched, at, new_york):
    attention.look(watched)

    # A half day: the last quarter of a minute of the session still counts.
    assert asked_after(provider, at, ny("2026-11-27T12:59:30"), 340) == [0, 15, 315]


def test_before_the_open_everything_is_asked_once_and_with_the_open_what_is_looked_at(
    provider, watched, at, new_york
):
    assert asked_after(provider, at, ny("2026-07-14T09:23:00"), 430) == [0, 120, 420]
    attention.look(watched)
    assert asked_after(provider, at, ny("2026-07-15T09:23:00"), 451) == [0, 120, 420, 435, 450]


@pytest.mark.parametrize(
    ("setting", "asking"),
    [
        ("held", Asking(Priority.HELD, Cause.POLL)),
        ("visible", Asking(Priority.VISIBLE, Cause.POLL)),
        ("alert", Asking(Priority.ALERT, Cause.POLL)),
        ("warm", Asking(Priority.WARM, Cause.WARM)),
    ],
)
def test_a_provider_is_asked_with_the_priority_of_who_wants_it(
    watched, at, new_york, monkeypatch, setting, asking
):
    at(ny("2026-07-14T09:26:00") if setting == "warm" else MORNING)
    if setting == "visible":
        attention.look(watched)
    if setting == "alert":
        want(monkeypatch, "alert", 15)
    askings = []
    fetch = quoting.fetch_quotes
    monkeypatch.setattr(
        quoting,
        "fetch_quotes",
        lambda ones, symbols, asking, *more: askings.append(asking) or fetch(ones, symbols, asking, *more),
    )

    polling.fetch_wanted()

    assert askings == [asking]


def want(monkeypatch, why: str, fresh_s: int) -> None:
    """One more source that wants all there is."""
    monkeypatch.setattr(demand, "_sources", dict(demand._sources))
    constants = Value(fresh_s, output_field=IntegerField()), Value(why, output_field=CharField())
    demand.register(why, lambda: Ticker.objects.values_list("pk", *constants))


def test_an_alert_is_served_though_nobody_looks(provider, watched, at, new_york, monkeypatch):
    want(monkeypatch, "alert", 30)

    assert asked_after(provider, at, MORNING, 61) == [0, 30, 60]


def test_a_budget_that_runs_low_slows_the_timer_down(provider, watched, at, new_york, monkeypatch):
    attention.look(watched)
    monkeypatch.setattr(quota, "left_of", lambda _: 0.04)

    assert asked_after(provider, at, MORNING, 121) == [0, 60, 120]


def test_what_no_provider_knows_is_not_asked_at_every_beat(provider, watched, at):
    provider.outcomes = {symbol: NotFound() for symbol in watched}
    polling.fetch_wanted()
    client().delete(*client().keys("quote:claim:*"))

    polling.fetch_wanted()

    assert set(provider.asked_symbols.values()) == {1}
    assert 0 < client().pttl("poll:refused:S0") <= 300_000


def test_what_a_provider_cannot_answer_for_the_moment_is_asked_again(provider, watched):
    provider.outcomes = {symbol: ProviderDown() for symbol in watched}
    polling.fetch_wanted()
    client().delete(*client().keys("quote:claim:*"))

    provider.outcomes = {}

    assert polling.fetch_wanted() == 4


def test_a_quote_that_the_tape_has_numbered_is_not_handed_to_it_again(provider, watched):
    now = clock.now()
    known = [make_quote(symbol, epoch=1, seq=1, as_of=now) for symbol in watched]
    client().hset(LATEST_KEY, mapping={quote.symbol: cache.encode(quote) for quote in known})

    assert polling.fetch_wanted() == 0
    assert inbox() == {}


def test_what_was_asked_and_what_a_plain_timer_would_have_asked_is_counted(provider, watched, at, new_york):
    asked = metrics.poll_symbols.labels(priority="held")._value.get
    plain = metrics.poll_symbols_plain._value.get
    before = asked(), plain()

    asked_after(provider, at, MORNING, 300)

    assert asked() - before[0] == 4
    assert plain() - before[1] == pytest.approx(4 * 300 / 15)


def test_refusals_and_stale_copies_do_not_reach_the_tape(provider, watched):
    then = datetime.now(UTC) - timedelta(hours=1)
    old = make_quote("S1", "5", as_of=then, received_at=then, expires_at=then)
    cache.fill_redis([old])
    provider.outcomes = {"S0": NotFound(), "S1": NotFound()}

    assert polling.fetch_wanted() == 2
    assert set(inbox()) == {"S2", "S3"}


def test_a_dead_owner_streams_nothing(provider, watched):
    stream(*watched)
    client().hset(BEATS_KEY, "0", str(time.time() - 4))

    assert polling.fetch_wanted() == 4


def test_nothing_wanted_is_nothing_asked(provider):
    assert polling.fetch_wanted() == 0
    assert provider.requests == []


def test_while_redis_cannot_tell_what_streams_nothing_is_bought(provider, watched):
    with redis_away():
        assert polling.fetch_wanted() == 0
    assert provider.requests == []


def test_each_quote_goes_to_the_owner_of_its_shard():
    client().set(openset.SHARDS_KEY, 3)
    quotes = [make_quote(f"S{number}") for number in range(30)]

    polling.hand_over(quotes)

    for shard in range(3):
        mine = {quote.symbol for quote in quotes if shard_of(quote.symbol, 3) == shard}
        assert set(inbox(shard)) == mine
        assert mine


def test_handing_over_while_redis_is_away_is_counted_and_no_error():
    before = metrics.redis_failures.labels(used_by="inbox")._value.get()
    with redis_away():
        polling.hand_over([make_quote()])
    assert metrics.redis_failures.labels(used_by="inbox")._value.get() == before + 1


def test_the_inbox_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(polling, "INBOX_LENGTH", 100)
    quote = make_quote()

    polling.hand_over(replace(quote, seq=number) for number in range(1000))

    assert client().xlen(openset.inbox_key(0)) < 300


def test_a_budget_that_is_too_small_goes_round(provider, watched, at):
    provider.capabilities = replace(
        provider.capabilities, max_symbols_per_request=1, windows=(Window(2, 60),)
    )
    start = ny("2026-11-20 11:00")

    for minutes in (0, 10, 20, 30):
        at(start + timedelta(minutes=minutes))
        client().delete(*client().keys("quota:*") or ["none"])
        before = len(provider.requests)
        polling.fetch_wanted()
        wait_until_kept(provider, before)

    assert provider.asked_symbols == dict.fromkeys(watched, 2)


def test_what_no_budget_is_left_for_is_not_even_tried(provider, watched):
    provider.capabilities = replace(
        provider.capabilities, max_symbols_per_request=1, windows=(Window(2, 60),)
    )
    refused = metrics.provider_skips.labels(provider="scripted", reason="no_quota")._value.get
    before = refused()

    polling.fetch_wanted()
    polling.fetch_wanted()

    assert (refused() - before, len(provider.requests)) == (0, 2)


def test_a_run_does_not_wait_for_a_slow_provider_and_the_next_one_hands_over_what_came(
    provider, watched, monkeypatch
):
    monkeypatch.setattr(polling, "RUN_S", 0.0)
    provider.answering.clear()
    assert polling.fetch_wanted() == 0
    assert provider.asked.wait(30)
    assert inbox() == {}

    monkeypatch.setattr(polling, "RUN_S", 30.0)
    provider.answering.set()
    assert polling.fetch_wanted() == 4

    assert inbox() == dict.fromkeys(watched, Decimal(100))
    assert provider.asked_symbols == dict.fromkeys(watched, 1)


def test_a_run_ends_before_the_next_one_is_due():
    assert timedelta(seconds=RUN_S) < polling.BEAT
