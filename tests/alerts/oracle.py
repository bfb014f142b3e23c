"""What alerts must do, tick by tick, in the plainest way there is: no heaps, no short cuts, exact fractions.

Written from what is promised, not from the engine: an alert is a small state machine that looks at each accepted tick
by itself. Only the words (`alerts.kinds`) are shared.

- above: price > t, below: price < t; once per excursion, armed again when the price is back on the level, or beyond it
  by the band. The first accepted tick after arming may fire.
- crosses_*: the same, after one accepted tick that is not beyond.
- leaves a channel: a price outside it, its edges belong to it; enters: a price inside. Both need a tick on the other
  side first; the band asks for so much more on the way back.
- moves: by at least p percent away from the lowest (highest) price of the window, the newest included; armed again
  when it is less than p, the band taken off.
- volume: more than n averages; 52-week: above the old high, below the old low, back on it or beyond by the band.
- A halted tick says nothing, nor does one of a session that is not wanted, nor one from before the alert stood as it
  stands.
- On a rebased tick nothing fires: what would have fired must come again (levels), or needs the other side first (all
  others). Where such a tick says nothing itself, the next one that does stands on the new base as well.
- A fire that is snoozed, in its cooldown or the second of a day of the owner is gone; one after the expiry ends the
  alert, as the only fire of a `once` alert does. An owner who moves to the west has no day twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from alerts.kinds import Kind, Mode, Rule, Sessions, Way
from alerts.series import NO_REFERENCE, Reference
from marketdata.quotes import Accepted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AT_ONCE = {Kind.ABOVE, Kind.BELOW}
UP = {Kind.ABOVE, Kind.CROSSES_ABOVE, Kind.VOLUME}
DOWN = {Kind.BELOW, Kind.CROSSES_BELOW}


@dataclass
class Oracle:
    """One version of one alert; `since_us` is from when ticks count, `fires` where it fired: (tick, price)."""

    rule: Rule
    since_us: int
    reference: Reference = NO_REFERENCE
    state: str = ""
    done: bool = False
    fires: list[Accepted] = field(default_factory=list)
    last_us: int | None = None
    last_day: date | None = None
    series: list[Accepted] = field(default_factory=list)
    is_rebased: bool = False

    def __post_init__(self) -> None:
        self.state = self.state or ("armed" if self.rule.kind in AT_ONCE else "fresh")

    def see(self, tick: Accepted) -> bool:
        """Whether it fires on this tick."""
        if tick.rebased:
            self.series, self.is_rebased = [], tick.received_us >= self.since_us
        if tick.halted or (self.rule.sessions is Sessions.REGULAR and tick.session != "regular"):
            return False
        rebased, self.is_rebased = self.is_rebased, False
        self.series.append(tick)
        if self.done or tick.received_us < self.since_us:
            return False
        value = self._value(tick)
        return value is not None and self._step(tick, value, rebased=rebased)

    def _step(self, tick: Accepted, value: Fraction, *, rebased: bool) -> bool:
        beyond = self._beyond(value)
        if self.state == "waiting":
            if self._back(value):
                self._become("armed", tick)
            return False
        if self.state == "fresh" or (rebased and beyond):
            self._become("waiting" if beyond and self.rule.kind not in AT_ONCE else "armed", tick)
            return False
        if not beyond:
            return False
        self._become("waiting", tick)
        return self._is_told(tick)

    def _become(self, state: str, tick: Accepted) -> None:
        if state != self.state:
            self.state, self.since_us = state, tick.received_us

    def _is_told(self, tick: Accepted) -> bool:
        rule, at = self.rule, EPOCH + timedelta(microseconds=tick.received_us)
        if rule.expires_at is not None and not at < rule.expires_at:
            self.done = True
            return False
        if rule.snoozed_until is not None and at < rule.snoozed_until:
            return False
        if self.last_us is not None and tick.received_us - self.last_us < rule.cooldown_s * 1_000_000:
            return False
        day = at.astimezone(ZoneInfo(rule.time_zone)).date()
        if rule.mode is Mode.DAILY and self.last_day is not None and day <= self.last_day:
            return False
        self.last_us = tick.received_us
        if rule.mode is Mode.DAILY:
            self.last_day = day
        self.fires.append(tick)
        self.done = rule.mode is Mode.ONCE
        return True

    # --- what it looks at

    def _value(self, tick: Accepted) -> Fraction | None:
        price, known = Fraction(tick.price), self.reference
        match self.rule.kind:
            case Kind.MOVES:
                return self._moved(tick)
            case Kind.VOLUME:
                if not tick.volume or not known.average_volume:
                    return None
                return Fraction(tick.volume) / Fraction(known.average_volume)
            case Kind.HIGH_52W:
                return None if known.high_52w is None else (price / Fraction(known.high_52w) - 1) * 100
            case Kind.LOW_52W:
                return None if known.low_52w is None else (price / Fraction(known.low_52w) - 1) * 100
        return price

    def _moved(self, tick: Accepted) -> Fraction:
        since = tick.received_us - (self.rule.window_s or 0) * 1_000_000
        prices = [Fraction(one.price) for one in self.series if one.received_us >= since]
        up = (prices[-1] / min(prices) - 1) * 100
        down = (1 - prices[-1] / max(prices)) * 100
        return {Way.UP: up, Way.DOWN: down, Way.EITHER: max(up, down)}[self.rule.way]

    # --- the two questions

    def _beyond(self, value: Fraction) -> bool:
        kind = self.rule.kind
        if kind in {Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL}:
            inside = Fraction(self.rule.lower) <= value <= Fraction(self.rule.upper)
            return inside is (kind is Kind.ENTERS_CHANNEL)
        if kind is Kind.MOVES:
            return value >= Fraction(self.rule.threshold)
        if kind in UP:
            return value > Fraction(self.rule.threshold)
        if kind in DOWN:
            return value < Fraction(self.rule.threshold)
        return value > 0 if kind is Kind.HIGH_52W else value < 0

    def _back(self, value: Fraction) -> bool:
        kind, band = self.rule.kind, Fraction(self.rule.rearm_band) / 100
        if kind in {Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL}:
            lower, upper = Fraction(self.rule.lower), Fraction(self.rule.upper)
            if kind is Kind.LEAVES_CHANNEL:
                return lower * (1 + band) <= value <= upper * (1 - band)
            return value < lower * (1 - band) or value > upper * (1 + band)
        if kind is Kind.HIGH_52W:
            return value <= -100 * band
        if kind is Kind.LOW_52W:
            return value >= 100 * band
        level = Fraction(self.rule.threshold)
        if kind is Kind.MOVES:
            return value < level * (1 - band)
        return value <= level * (1 - band) if kind in UP else value >= level * (1 + band)


def fires_of(rule: Rule, since_us: int, ticks: Sequence[Accepted]) -> list[Accepted]:
    """Of one alert whose rule never changes."""
    oracle = Oracle(rule, since_us)
    for tick in ticks:
        oracle.see(tick)
    return oracle.fires
