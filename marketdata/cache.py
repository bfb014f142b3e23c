"""Where a quote is looked for before anybody is paid: memory, then Redis, then the database.

Redis holds one hash, symbol -> the latest quote as JSON: the tape writes it with each publication, a fetch fills
it where it knows something newer. Beside it stands what the tape streams, so that one round trip tells both the
quote and whether it is being kept up to date. Redis may vanish at any moment: each tier then answers for the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson
from redis.exceptions import RedisError

from core import metrics
from core.redis import async_client, client
from marketdata.models import Quote as QuoteRow
from marketdata.quotes import EPOCH, Quote, Session, microseconds, price_text

LATEST_KEY = "quote:latest"
STREAMING_KEY = "tape:streaming"
BEATS_KEY = "tape:beats"
# Symbol -> when its stream ended while it was still wanted, microseconds by the clock that also dates quotes.
LOST_KEY = "tape:lost"

# A process believes its own copy this long; the hub and the next read bring it up to date.
MEMORY_TTL_S = 1.0
MEMORY_SYMBOLS = 20_000
# An owner says each second that it is alive; three missed and its symbols count as not streamed.
BEAT_MISSED_AFTER_S = 3.0

# What the tape numbered and streams now is left alone: an unnumbered quote in its place would hide the tape's
# position from those who connect. A quote that is not newer still proves that the known one was checked.
FILL = """
local time = redis.call('TIME')
local oldest_beat = time[1] + time[2] / 1000000 - ARGV[1]
local function number(text, name) return tonumber(string.match(text, '"' .. name .. '":(%d+)')) or 0 end
local function streams(symbol)
  local shard = redis.call('HGET', KEYS[2], symbol)
  local beat = shard and redis.call('HGET', KEYS[3], shard)
  return beat and tonumber(beat) >= oldest_beat
end
for i = 2, #ARGV, 5 do
  local symbol, as_of, received, expires, quote = unpack(ARGV, i, i + 4)
  local known = redis.call('HGET', KEYS[1], symbol) or '{}'
  local numbered, newer = number(known, 'epoch') > 0, tonumber(as_of) - number(known, 't')
  local checked = tonumber(received) > number(known, 'received')
  if numbered and streams(symbol) then
  elseif newer > 0 or (newer == 0 and checked and not numbered) then
    redis.call('HSET', KEYS[1], symbol, quote)
  elseif checked then
    known = string.gsub(known, '"received":%d+', '"received":' .. received, 1)
    known = string.gsub(known, '"expires":%d+', '"expires":' .. expires, 1)
    redis.call('HSET', KEYS[1], symbol, known)
  end
end
"""

# All that is known of some symbols at one moment: one command to write and one answer to read, where a pipeline of
# five took a third longer.
LOOK = """
local latest, streaming, lost = {}, {}, {}
if #ARGV > 0 then
  latest = redis.call('HMGET', KEYS[1], unpack(ARGV))
  streaming = redis.call('HMGET', KEYS[2], unpack(ARGV))
  lost = redis.call('HMGET', KEYS[3], unpack(ARGV))
end
return {latest, streaming, lost, redis.call('HGETALL', KEYS[4]), redis.call('TIME')}
"""
# More arguments a script cannot hand on.
MOST_AT_ONCE = 5_000
LOOK_KEYS = (LATEST_KEY, STREAMING_KEY, LOST_KEY, BEATS_KEY)
# Quotes that were read before and have not changed are not read letter by letter again.
KNOWN_TEXTS = 5_000

_PRICES = ("change", "change_percent", "open", "high", "low", "previous_close", "bid", "ask")
_prices_of = attrgetter(*_PRICES)


Beats = dict[bytes, bytes]


def encode(quote: Quote) -> bytes:
    """The JSON of one quote in Redis; `t`, microseconds, stands first so that a script can compare ages."""
    fields: dict[str, Any] = {
        "t": microseconds(quote.as_of),
        "symbol": quote.symbol,
        "price": price_text(quote.price),
        "received": microseconds(quote.received_at),
        "expires": microseconds(quote.expires_at),
        "provider": quote.provider,
        "session": quote.session.value,
        "volume": quote.volume,
        "epoch": quote.epoch,
        "seq": quote.seq,
    }
    for name, value in zip(_PRICES, _prices_of(quote), strict=True):
        if value is not None:
            fields[name] = str(value)
    if quote.replay_date:
        fields["replay_date"] = quote.replay_date.isoformat()
    if quote.halted:
        fields["halted"] = True
    if quote.delayed_s:
        fields["delayed_s"] = quote.delayed_s
    if quote.size:
        fields["size"] = quote.size
    if quote.rebased:
        fields["rebased"] = True
    return orjson.dumps(fields)


def decode(raw: bytes) -> Quote:
    """The inverse of `encode`; raises ValueError on anything else."""
    try:
        return _quote_of(orjson.loads(raw))
    except (AttributeError, TypeError, KeyError, ArithmeticError) as error:
        raise ValueError(f"not a quote: {raw[:60]!r}") from error


decode_known = lru_cache(maxsize=KNOWN_TEXTS)(decode)


def _quote_of(fields: dict[str, Any]) -> Quote:
    replay_date = fields.get("replay_date")
    prices: dict[str, Any] = {name: Decimal(fields[name]) for name in _PRICES if name in fields}
    return Quote(
        symbol=fields["symbol"],
        price=Decimal(fields["price"]),
        as_of=_moment(fields["t"]),
        received_at=_moment(fields["received"]),
        expires_at=_moment(fields["expires"]),
        provider=fields["provider"],
        session=Session(fields["session"]),
        volume=fields["volume"],
        epoch=fields["epoch"],
        seq=fields["seq"],
        replay_date=date.fromisoformat(replay_date) if replay_date else None,
        halted=fields.get("halted", False),
        delayed_s=fields.get("delayed_s", 0),
        size=fields.get("size", 0),
        rebased=fields.get("rebased", False),
        **prices,
    )


def _moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


@dataclass(frozen=True, slots=True)
class Found:
    """A quote from some tier, whether the tape keeps it up to date right now, and until when it did if it lost it."""

    quote: Quote
    streaming: bool
    lost_at: datetime | None = None

    def is_good(self, now: datetime, max_age: timedelta | None) -> bool:
        """Whether it may be shown without asking a provider.

        A streamed quote is as true as the last trade, however long ago that was: nobody could sell a better one.
        Of any other it counts when it was checked, not when it was traded: a quiet share has no newer price.
        """
        if self.streaming:
            return True
        if max_age is not None:
            return now - self.quote.received_at <= max_age
        return self.quote.is_fresh(now)


# By symbol: until when it is believed, and what. The oldest stands first. A plain dictionary and not a cache of a
# library: reading eight quotes is then 4 us instead of 12, and needs no lock.
_memory: dict[str, tuple[float, Found]] = {}
_memory_lock = threading.Lock()
_memory_reads = metrics.quote_reads.labels(tier="memory")


def remember(found: Found) -> None:
    symbol = found.quote.symbol
    with _memory_lock:
        _memory.pop(symbol, None)
        _memory[symbol] = (time.monotonic() + MEMORY_TTL_S, found)
        if len(_memory) > MEMORY_SYMBOLS:
            del _memory[next(iter(_memory))]


def forget_memory() -> None:
    """Empty this process's tier, as a new process finds it: for tests and benchmarks."""
    with _memory_lock:
        _memory.clear()


def from_memory(symbols: Iterable[str]) -> dict[str, Found]:
    now = time.monotonic()
    found = {
        symbol: entry[1]
        for symbol in symbols
        if (entry := _memory.get(symbol)) is not None and entry[0] > now
    }
    _memory_reads.inc(len(found))
    return found


def from_redis(symbols: Sequence[str]) -> dict[str, Found]:
    """One round trip for as many symbols as anybody asks for; empty when Redis is away."""
    if not symbols:
        return {}
    if len(symbols) > MOST_AT_ONCE:
        return from_redis(symbols[:MOST_AT_ONCE]) | from_redis(symbols[MOST_AT_ONCE:])
    try:
        answer = client().eval(LOOK, len(LOOK_KEYS), *LOOK_KEYS, *symbols)
        latest, streaming, lost, beats, now = _read(answer)
    except RedisError:
        metrics.redis_failures.labels(used_by="quotes").inc()
        return {}
    alive = alive_shards(beats, now)
    found = {}
    for symbol, raw, shard, lost_us in zip(symbols, latest, streaming, lost, strict=True):
        quote = _readable(raw)
        if quote is not None:
            lost_at = _last_beat(beats, shard) if shard else _moment_or_none(lost_us)
            found[symbol] = Found(quote, shard in alive, None if shard in alive else lost_at)
            remember(found[symbol])
    metrics.quote_reads.labels(tier="redis").inc(len(found))
    return found


def _read(
    answer: Any,
) -> tuple[list[bytes | None], list[bytes | None], list[bytes | None], Beats, tuple[int, int]]:
    latest, streaming, lost, beats, (seconds, microseconds_) = answer
    return (
        latest,
        streaming,
        lost,
        dict(zip(beats[::2], beats[1::2], strict=True)),
        (int(seconds), int(microseconds_)),
    )


def _readable(raw: bytes | None) -> Quote | None:
    """None also for what another version of Onetape wrote: to be looked for elsewhere."""
    try:
        return decode_known(raw) if raw else None
    except ValueError:
        metrics.redis_failures.labels(used_by="quotes").inc()
        return None


def alive_shards(beats: dict[bytes, bytes], now: tuple[int, int]) -> set[bytes]:
    """The shards whose owner has beaten lately.

    Beats and `now` (seconds and microseconds) are both told by Redis, so that no host's clock matters.
    """
    oldest = now[0] + now[1] / 1_000_000 - BEAT_MISSED_AFTER_S
    return {shard for shard, beat in beats.items() if float(beat) >= oldest}


def _last_beat(beats: dict[bytes, bytes], shard: bytes) -> datetime | None:
    """Until when an owner was known to be alive; None when it has said goodbye: the next one is near."""
    beat = beats.get(shard)
    return None if beat is None else EPOCH + timedelta(seconds=float(beat))


def _moment_or_none(us: bytes | None) -> datetime | None:
    return None if us is None else _moment(int(us))


def from_database(symbols: Sequence[str]) -> dict[str, Found]:
    """One query for any number of symbols; raises OperationalError when PostgreSQL is away."""
    if not symbols:
        return {}
    rows = QuoteRow.objects.filter(ticker__symbol__in=symbols).select_related("ticker")
    found = {row.ticker.symbol: Found(quote_of_row(row), streaming=False) for row in rows}
    metrics.quote_reads.labels(tier="database").inc(len(found))
    return found


def quote_of_row(row: QuoteRow) -> Quote:
    return Quote(
        symbol=row.ticker.symbol,
        price=row.price,
        change=row.change,
        change_percent=row.change_percent,
        volume=row.volume,
        open=row.open,
        high=row.high,
        low=row.low,
        previous_close=row.previous_close,
        bid=row.bid,
        ask=row.ask,
        as_of=row.as_of.astimezone(UTC),
        received_at=row.received_at,
        expires_at=row.expires_at,
        provider=row.provider,
        session=Session(row.session),
        replay_date=row.replay_date,
        halted=row.halted,
        delayed_s=row.delayed_s,
        epoch=row.epoch,
        seq=row.seq,
    )


def fill_redis(quotes: Sequence[Quote]) -> None:
    """Put fetched quotes where every process finds them, as `FILL` says. Redis away: counted."""
    args: list[Any] = [BEAT_MISSED_AFTER_S]
    for quote in quotes:
        times = (quote.as_of, quote.received_at, quote.expires_at)
        args += (quote.symbol, *map(microseconds, times), encode(quote))
    if not quotes:
        return
    try:
        client().eval(FILL, 3, LATEST_KEY, STREAMING_KEY, BEATS_KEY, *args)
    except RedisError:
        metrics.redis_failures.labels(used_by="quotes").inc()


@dataclass(frozen=True, slots=True)
class Look:
    """What Redis knows of some symbols at one moment; the quotes are as they are stored."""

    latest: dict[str, bytes]
    listed: frozenset[str]
    """Those that an owner says to stream, be he alive or not."""
    lost: dict[str, datetime]
    alive: bool
    """Whether any owner of the tape is."""


async def read_latest(symbols: Sequence[str]) -> Look:
    """One round trip for as many symbols as anybody asks for; raises RedisError."""
    if len(symbols) > MOST_AT_ONCE:
        some, rest = await read_latest(symbols[:MOST_AT_ONCE]), await read_latest(symbols[MOST_AT_ONCE:])
        return Look(some.latest | rest.latest, some.listed | rest.listed, some.lost | rest.lost, rest.alive)
    answer = await async_client().eval(LOOK, len(LOOK_KEYS), *LOOK_KEYS, *symbols)
    *columns, beats, now = _read(answer)
    latest, listed, lost = (_known(symbols, column) for column in columns)
    return Look(
        latest=latest,
        listed=frozenset(listed),
        lost={symbol: _moment(int(us)) for symbol, us in lost.items()},
        alive=bool(alive_shards(beats, now)),
    )


def _known(symbols: Sequence[str], values: Sequence[bytes | None]) -> dict[str, bytes]:
    return {symbol: value for symbol, value in zip(symbols, values, strict=True) if value}
