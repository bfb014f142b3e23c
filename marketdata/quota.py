"""What we may still ask of each provider, shared by all processes, and who may ask when little is left.

Each window of a plan is a Redis hash of 60 slots; the sum of the last 60 and the running one never exceeds the
limit, so no window of the vendor's can either, wherever it begins. Long windows survive a flushed Redis: they are
counted anew from the ledger. While Redis is away each process keeps to a part of the limit by itself.

What the vendor says counts too: its own "remaining", and the moment it asks us to wait for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from redis.exceptions import RedisError

from core import clock, metrics
from core.database import if_there
from core.outages import DATABASE_ERRORS
from core.redis import client
from marketdata.metering import Call
from marketdata.models import ProviderCall
from marketdata.providers.base import Capabilities, Provider, Unit, Window
from marketdata.quota_windows import SLOTS, LocalWindows, slot_ms
from marketdata.quotes import EPOCH


class Priority(StrEnum):
    """Who asks, the most important first."""

    ALERT = "alert"
    VISIBLE = "visible"
    HELD = "held"
    WARM = "warm"
    BACKFILL = "backfill"


# The part of every window that one of this priority must leave for those above it.
RESERVES = {
    Priority.ALERT: 0.0,
    Priority.VISIBLE: 0.02,
    Priority.HELD: 0.10,
    Priority.WARM: 0.20,
    Priority.BACKFILL: 0.40,
}
# Below this part of a window refreshing becomes slower; see marketdata.cadence.
SLOW_BELOW = 0.10
# A window this long is worth counting anew from the ledger after Redis lost it.
LONG_S = 3_600
# How many processes may be asking at the same time while Redis cannot tell.
PROCESSES_ASSUMED = 4
BLOCKED_KEY = "blocked"

TAKE = """
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local until_ms, left = 0, 1
local function refuse(moment) if moment > until_ms then until_ms = moment end end
local blocked = tonumber(redis.call('GET', KEYS[1]) or 0)
if blocked > now then refuse(blocked) end
local told = redis.call('HMGET', KEYS[2], 'left', 'until')
local tells = told[1] and tonumber(told[2]) > now
if tells and tonumber(told[1]) < 1 then refuse(tonumber(told[2])) end
local missing = {}
for i = 3, #KEYS do
  local at = (i - 3) * 5 + 2
  local limit, slot, cost, room, long = unpack(ARGV, at, at + 4)
  limit, slot, cost, room = tonumber(limit), tonumber(slot), tonumber(cost), tonumber(room)
  local current, used, entries = math.floor(now / slot), 0, redis.call('HGETALL', KEYS[i])
  if long == '1' and #entries == 0 then table.insert(missing, i - 3) end
  local counts = {}
  for j = 1, #entries, 2 do
    local index = tonumber(entries[j])
    if index == 0 then  -- marks the window as known
    elseif index and index < current - 60 then redis.call('HDEL', KEYS[i], entries[j])
    elseif index then
      used = used + tonumber(entries[j + 1])
      table.insert(counts, {index, tonumber(entries[j + 1])})
    end
  end
  left = math.min(left, math.max(0, (limit - used) / limit))
  local over = used + cost - math.floor(limit - room)
  if over > 0 then
    table.sort(counts, function(a, b) return a[1] < b[1] end)
    local free_at = (current + 61) * slot
    for _, one in ipairs(counts) do
      over = over - one[2]
      if over <= 0 then free_at = (one[1] + 61) * slot; break end
    end
    refuse(free_at)
  end
end
if #missing == 0 and until_ms == 0 then
  for i = 3, #KEYS do
    local at = (i - 3) * 5 + 2
    local slot, cost = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    redis.call('HINCRBY', KEYS[i], math.floor(now / slot), cost)
    redis.call('PEXPIRE', KEYS[i], slot * 62)
  end
  if tells then redis.call('HINCRBY', KEYS[2], 'left', -1) end
end
return {until_ms, tostring(left), missing}
"""

# What was made already counts whether or not there is room. A long window that Redis does not know is left to the
# ledger, where it stands as well.
SPEND = """
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
for i = 1, #KEYS do
  local slot, long = tonumber(ARGV[i * 2 + 1]), ARGV[i * 2 + 2]
  if long == '0' or redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('HINCRBY', KEYS[i], math.floor(now / slot), ARGV[2])
    redis.call('PEXPIRE', KEYS[i], slot * 62)
  end
end
"""
# Answers overtake each other: within one of the vendor's windows what is left only falls.
NOTE = """
local told, left = redis.call('HMGET', KEYS[1], 'left', 'until'), tonumber(ARGV[1])
if told[1] and told[2] == ARGV[2] then left = math.min(left, tonumber(told[1])) end
redis.call('HSET', KEYS[1], 'left', left, 'until', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
# Of two moments the later one: who was asked at the same time may have been told less.
BLOCK = """
local known = tonumber(redis.call('GET', KEYS[1]) or 0)
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether a request may go out now, else when to ask again; `left` is the smallest part of a window still free."""

    granted: bool
    retry_at: datetime | None = None
    left: float = 1.0


@dataclass(frozen=True, slots=True)
class Budget:
    """One window as it stands: `exhausted_at` is the forecast at the present rate, None when it will hold."""

    provider: str
    window: Window
    used: int
    exhausted_at: datetime | None = None

    @property
    def left(self) -> int:
        return max(0, self.window.limit - self.used)


_local = LocalWindows(PROCESSES_ASSUMED)


def take(provider: Provider, priority: Priority, *, symbols: int = 1) -> Grant:
    """Count one request of so many symbols, if its priority may still make it; nothing is counted otherwise."""
    capabilities = provider.capabilities
    if capabilities.simulated and not capabilities.windows:
        return Grant(granted=True)
    try:
        return _take(provider.name, capabilities, priority, symbols)
    except RedisError:
        metrics.redis_failures.labels(used_by="quota").inc()
        return _take_locally(provider.name, capabilities, priority, symbols)


def spend(provider: Provider, requests: int) -> None:
    """Count requests that were made already, whether or not the windows have room for them."""
    windows = provider.capabilities.windows
    if requests <= 0 or not windows:
        return
    args: list[Any] = [_now_ms(), requests]
    for window in windows:
        args += (slot_ms(window), _long(window))
    keys = [_window_key(provider.name, window) for window in windows]
    try:
        client().eval(SPEND, len(keys), *keys, *args)
    except RedisError:
        metrics.redis_failures.labels(used_by="quota").inc()
        _local.spend(provider.name, windows, requests, clock.now_us() // 1000)


def _take(name: str, capabilities: Capabilities, priority: Priority, symbols: int) -> Grant:
    windows = capabilities.windows
    args = _arguments(windows, priority, symbols)
    keys = [_key(name, BLOCKED_KEY), _key(name, "told"), *(_window_key(name, window) for window in windows)]
    for _ in range(2):
        until_ms, left, missing = client().eval(TAKE, len(keys), *keys, *args)
        if not missing:
            break
        for index in missing:
            _count_anew(name, windows[int(index)])
    if until_ms:
        return Grant(granted=False, retry_at=_moment(until_ms), left=float(left))
    return Grant(granted=True, left=float(left))


def _arguments(windows: Sequence[Window], priority: Priority, symbols: int) -> list[Any]:
    args: list[Any] = [_now_ms()]
    for window in windows:
        room = int(window.limit * RESERVES[priority])
        args += (window.limit, slot_ms(window), _cost(window, symbols), room, _long(window))
    return args


def _long(window: Window) -> str:
    return "1" if window.seconds >= LONG_S else "0"


def _take_locally(name: str, capabilities: Capabilities, priority: Priority, symbols: int) -> Grant:
    costs = {window: _cost(window, symbols) for window in capabilities.windows}
    now_ms = clock.now_us() // 1000
    free_ms, left = _local.take(name, costs, RESERVES[priority], now_ms)
    if free_ms > now_ms:
        return Grant(granted=False, retry_at=_moment(free_ms), left=left)
    return Grant(granted=True, left=left)


def _cost(window: Window, symbols: int) -> int:
    return 1 if window.unit is Unit.REQUEST else symbols


def _count_anew(name: str, window: Window) -> None:
    """Fill a window that Redis does not know from the ledger; with the database away it begins empty."""
    slot = slot_ms(window)
    counts: dict[int, int] = {0: 0}  # marks the window as known
    try:
        counts |= if_there(_from_ledger, name, window, slot)
    except DATABASE_ERRORS:
        metrics.database_failures.labels(used_by="quota").inc()
    key = _window_key(name, window)
    pipe = client().pipeline(transaction=True)
    for index, count in counts.items():
        pipe.hsetnx(key, str(index), count)
    pipe.pexpire(key, slot * (SLOTS + 2))
    pipe.execute()


def _from_ledger(name: str, window: Window, slot: int) -> dict[int, int]:
    since = clock.now() - timedelta(seconds=window.seconds)
    calls = ProviderCall.objects.filter(provider=name, at__gt=since).exclude(unit=Unit.SYMBOL_MINUTE.value)
    counted: dict[int, int] = {}
    for at, units, symbols in calls.values_list("at", "units", "symbols"):
        index = (at - EPOCH) // timedelta(milliseconds=slot)
        cost = units if window.unit is Unit.REQUEST else Decimal(len(symbols))
        counted[index] = counted.get(index, 0) + int(cost)
    return counted


def note(calls: Iterable[Call]) -> None:
    """Learn from the answers what the vendor thinks is left; Redis away: forgotten."""
    told = [call for call in calls if call.remaining is not None and call.reset_at is not None]
    try:
        for call in told[-1:]:
            assert call.reset_at is not None
            key, reset_ms = _key(call.provider, "told"), _ms(call.reset_at)
            left_ms = max(1, reset_ms - clock.now_us() // 1000)
            client().eval(NOTE, 1, key, call.remaining or 0, reset_ms, left_ms)
    except RedisError:
        metrics.redis_failures.labels(used_by="quota").inc()


def block(name: str, until: datetime) -> None:
    """Ask nothing of this provider before `until`: it said so."""
    left_ms = _ms(until) - clock.now_us() // 1000
    if left_ms <= 0:
        return
    _local.block(name, _ms(until))
    try:
        client().eval(BLOCK, 1, _key(name, BLOCKED_KEY), _ms(until), left_ms)
    except RedisError:
        metrics.redis_failures.labels(used_by="quota").inc()


def blocked_until(provider: Provider) -> datetime | None:
    """Until when the provider asked us to wait; None when it may be asked. Raises RedisError."""
    blocked = client().get(_key(provider.name, BLOCKED_KEY))
    return _moment(int(blocked)) if blocked and int(blocked) > clock.now_us() // 1000 else None


def budgets(provider: Provider) -> list[Budget]:
    """How each window of the provider stands; raises RedisError."""
    now_ms = clock.now_us() // 1000
    found = []
    for window in provider.capabilities.windows:
        counts: dict[Any, Any] = client().hgetall(_window_key(provider.name, window))
        current = now_ms // slot_ms(window)
        recent = {int(index): int(count) for index, count in counts.items() if int(index) >= current - SLOTS}
        used = sum(recent.values())
        forecast = _exhausted_at(window, recent, used, now_ms)
        found.append(Budget(provider.name, window, used, forecast))
    return found


def left_of(provider: Provider) -> float:
    """The smallest free part of the provider's windows; 1 when nothing is known."""
    try:
        parts = [budget.left / budget.window.limit for budget in budgets(provider)]
    except RedisError:
        metrics.redis_failures.labels(used_by="quota").inc()
        return 1.0
    return min(parts, default=1.0)


def symbols_left(provider: Provider) -> int | None:
    """How many symbols the provider can be asked for right now; None where nothing limits it, or Redis is away."""
    size = provider.capabilities.max_symbols_per_request
    try:
        return min(
            (one.left * (size if one.window.unit is Unit.REQUEST else 1) for one in budgets(provider)),
            default=None,
        )
    except RedisError:
        metrics.redis_failures.labels(used_by="quota").inc()
        return None


# The rate of the last slots is what the forecast goes on with: since the first request among them, as on a morning
# that has just begun, but over so long at least, since one burst is no rate.
RATE_SLOTS = 10
RATE_MS = 60_000


def _exhausted_at(window: Window, counts: dict[int, int], used: int, now_ms: int) -> datetime | None:
    slot = slot_ms(window)
    newest = now_ms // slot - RATE_SLOTS
    lately = {index: count for index, count in counts.items() if count and index > newest}
    if not lately:
        return None
    span_ms = max(now_ms - min(lately) * slot, min(RATE_SLOTS * slot, RATE_MS))
    rate_per_ms = sum(lately.values()) / span_ms
    # What goes on at this rate for a whole window and still fits never exhausts it.
    if rate_per_ms * window.seconds * 1000 <= window.limit:
        return None
    return _moment(now_ms + int(max(0, window.limit - used) / rate_per_ms))


def _key(name: str, what: str) -> str:
    return f"quota:{name}:{what}"


def _window_key(name: str, window: Window) -> str:
    return _key(name, f"{window.unit.value}:{window.limit}:{window.seconds}")


def _now_ms() -> int:
    """0 lets Redis say what time it is, the same for every host; tests give a time of their own."""
    return 0


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _moment(ms: float) -> datetime:
    return EPOCH + timedelta(milliseconds=float(ms))
