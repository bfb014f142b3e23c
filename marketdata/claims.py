"""Who may ask a provider for a symbol: one process at a time, over all processes.

A claim is a Redis key with a short life; settling it leaves the outcome for those who waited. What was refused for
want of quota binds nobody who is more important than whoever was refused: `rank` counts from 0, the most important.
Redis away: every process may ask (one request per process), which is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import orjson
from redis.exceptions import RedisError

from core import metrics
from core.redis import client
from marketdata.cache import decode, encode
from marketdata.quotes import NoQuote, Quote, Reason

# Above the budget of one request: a claim that outlives it belongs to a process that died.
CLAIM_MS = 7_000
# What a fetch brought is good enough for everybody who asks within this time; it also remembers a refusal.
SETTLED_MS = 2_000

CLAIM = """
local answers = {}
for i, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  local refused = held and tonumber(string.match(held, '^{"none":"rate_limited","rank":(%d+)}'))
  if held and not (refused and refused > tonumber(ARGV[2])) then answers[i] = held
  else redis.call('SET', key, '', 'PX', ARGV[1]); answers[i] = false end
end
return answers
"""
# Of what we still hold: another process may have settled it, or taken it over.
RENEW = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == '' then redis.call('PEXPIRE', key, ARGV[1]) end
end
"""
RELEASE = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == '' then redis.call('DEL', key) end
end
"""


class Claim(Enum):
    MINE = "mine"
    ANOTHERS = "anothers"


def _key(symbol: str) -> str:
    return f"quote:claim:{symbol}"


def claim(symbols: Sequence[str], rank: int = 0) -> dict[str, Claim | Quote | NoQuote]:
    """For each symbol: ours to fetch, being fetched by another process, or the outcome of a fetch just made."""
    try:
        held = client().eval(CLAIM, len(symbols), *map(_key, symbols), CLAIM_MS, rank)
    except RedisError:
        metrics.redis_failures.labels(used_by="claims").inc()
        return dict.fromkeys(symbols, Claim.MINE)
    return {symbol: _read(symbol, raw) for symbol, raw in zip(symbols, held, strict=True)}


def _read(symbol: str, raw: bytes | None) -> Claim | Quote | NoQuote:
    if raw is None:
        return Claim.MINE
    if not raw:
        return Claim.ANOTHERS
    try:
        if raw.startswith(b'{"none"'):
            return NoQuote(symbol, Reason(orjson.loads(raw)["none"]))
        return decode(raw)
    except ValueError:  # another version of Onetape wrote it
        return Claim.MINE


def renew(symbols: Sequence[str]) -> None:
    """Our claims begin anew: another provider is asked now. Redis away: they run out."""
    _each(RENEW, symbols, CLAIM_MS)


def release(symbols: Sequence[str]) -> None:
    """We ask no more, and have no outcome: somebody else may."""
    _each(RELEASE, symbols)


def _each(script: str, symbols: Sequence[str], *args: int) -> None:
    try:
        client().eval(script, len(symbols), *map(_key, symbols), *args)
    except RedisError:
        metrics.redis_failures.labels(used_by="claims").inc()


def settle(outcomes: Sequence[Quote | NoQuote], rank: int = 0) -> None:
    """Leave the outcomes for those who wait; the claim ends with them."""
    try:
        pipe = client().pipeline(transaction=False)
        for outcome in outcomes:
            pipe.set(_key(outcome.symbol), _write(outcome, rank), px=SETTLED_MS)
        pipe.execute()
    except RedisError:
        metrics.redis_failures.labels(used_by="claims").inc()


def _write(outcome: Quote | NoQuote, rank: int) -> Any:
    if isinstance(outcome, Quote):
        return encode(outcome)
    refused = {"rank": rank} if outcome.reason is Reason.RATE_LIMITED else {}
    return orjson.dumps({"none": outcome.reason.value, **refused})
