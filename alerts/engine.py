"""Which alerts does this tick concern? All of them in one pass, whoever they belong to. Pure.

A tick looks only for alerts whose edges it reaches (`books`): such a one is taken out, decided by `conditions.step`,
and put back with its new edges. Seconds of silence are looked for in the same way.

The engine never forgets a fire by itself: what it decides is an `Effect`, which `committing` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from heapq import heapify
from typing import Any

from alerts import conditions, evidence
from alerts.books import NEVER, Book, Lane, Watched
from alerts.conditions import moment
from alerts.kinds import Kind, Mode, Phase, Rule
from alerts.series import NO_REFERENCE, Against, Reference, Series, TickLike, Which, series_of

__all__ = ["Effect", "Engine", "Watched", "facts"]


@dataclass(slots=True)
class Effect:
    """What one tick did to one alert: from one phase to another, with a fire or without."""

    alert_id: int
    version: int
    symbol: str
    priority: int
    rule: Rule
    before_phase: Phase
    phase: Phase
    fires: bool
    at_us: int
    price: Decimal | None
    armed_us: int
    armed_price: Decimal | None
    fire_seq: int
    """How often the alert has fired before."""
    day: date | None = None
    refusal: str = ""
    """Why nobody is told of what would have been a fire."""
    source: str = "tick"
    tick: TickLike | None = None
    before: TickLike | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        """The alert is done."""
        return self.fires and self.rule.mode is Mode.ONCE


class Engine:
    """All alerts of one shard. Not thread-safe: one owner feeds it tick by tick."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.alerts: dict[int, Watched] = {}
        self.references: dict[str, Reference] = {}
        self.begun_anew: set[str] = set()
        self._gap = 0
        self._silent: set[str] = set()

    def __len__(self) -> int:
        return len(self.alerts)

    # --- alerts come and go

    def load(self, alerts: Iterable[Watched]) -> None:
        """Many at once; sorting happens once per heap."""
        books = set()
        for alert in alerts:
            book = self._book_for(alert)
            book.place(alert, push=list.append)
            books.add(book)
        for book in books:
            heapify(book.up)
            heapify(book.down)
            book.measure()

    def add(self, alert: Watched) -> None:
        """Instead of the one with the same id, if any: a series that it was alone on goes on."""
        old = self.alerts.get(alert.id)
        if old is not None and (old.symbol, series_of(old.rule)) != (alert.symbol, series_of(alert.rule)):
            self.remove(alert.id)
        book = self._book_for(alert)
        book.place(alert)
        book.measure()

    def remove(self, alert_id: int) -> None:
        alert = self.alerts.pop(alert_id, None)
        if alert is None:
            return
        lane, which = self.lanes[alert.symbol], series_of(alert.rule)
        book = lane.books[which]
        del book.alerts[alert_id]
        book.measure()
        if not book.alerts:
            del lane.books[which]
        if not lane.books:
            del self.lanes[alert.symbol]

    def refer(self, references: Mapping[str, Reference]) -> None:
        """A new day has begun, or a split restated the old ones."""
        self.references.update(references)
        for symbol in references.keys() & self.lanes.keys():
            for book in self.lanes[symbol].books.values():
                if isinstance(book.series, Against):
                    book.series.reference = references[symbol]

    def book_of(self, symbol: str, which: Which) -> Series | None:
        lane = self.lanes.get(symbol)
        book = lane.books.get(which) if lane else None
        return None if book is None else book.series

    def _book_for(self, alert: Watched) -> Book:
        lane = self.lanes.get(alert.symbol)
        if lane is None:
            lane = self.lanes[alert.symbol] = Lane()
            lane.gap = self._gap
        which = series_of(alert.rule)
        book = lane.books.get(which)
        if book is None:
            book = lane.books[which] = Book(which, self.references.get(alert.symbol, NO_REFERENCE))
        if alert.rule.kind is Kind.STALE:
            self._silent.add(alert.symbol)
            book.heard = None
        book.alerts[alert.id] = self.alerts[alert.id] = alert
        return book

    # --- ticks

    def skip(self) -> None:
        """Some ticks were not seen: the first one of each ticker from now on says so in the evidence."""
        self._gap += 1

    def begin_anew(self, tick: TickLike) -> None:
        """All that is known of a tick that is not looked at: from it on the price stands on another base."""
        lane = self.lanes.get(tick.symbol)
        if lane is not None and tick.rebased:
            lane.begin_anew(tick.received_us)
            self.begun_anew.add(tick.symbol)

    def on_tick(self, tick: TickLike) -> Sequence[Effect]:
        """In the order in which the alerts are told. A halted ticker's price is no price."""
        lane = self.lanes.get(tick.symbol)
        if lane is None:
            return ()
        if tick.rebased:
            self.begin_anew(tick)
        return () if tick.halted else self._follow(lane, tick)

    def _follow(self, lane: Lane, tick: TickLike) -> Sequence[Effect]:
        regular = tick.session == "regular"
        effects: list[Effect] = []
        for book in lane.books.values():
            if regular or not book.regular_only:
                value = book.follow(tick)
                if value is not None:
                    effects += self._reach(book, value, tick, lane)
                book.rebased_us = NEVER
        lane.last, lane.gap = tick, self._gap
        if regular:
            lane.last_regular = tick
        if effects:
            self._drop_done(effects)
            effects.sort(key=_urgency)
        return effects

    def _drop_done(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if effect.is_last or effect.refusal == "expired":
                self.remove(effect.alert_id)

    def _reach(self, book: Book, value: Decimal, tick: TickLike, lane: Lane) -> list[Effect]:
        effects = []
        for alert in book.take_reached(value):
            effect = self._decide(alert, book, value, tick, lane)
            book.place(alert)
            if effect is not None:
                effects.append(effect)
        book.measure()
        return effects

    def _decide(
        self, alert: Watched, book: Book, value: Decimal, tick: TickLike, lane: Lane
    ) -> Effect | None:
        if tick.received_us < alert.armed_us:
            return None  # older than the alert
        decide = conditions.rebased if alert.armed_us <= book.rebased_us else conditions.step
        phase, fires = decide(alert.rule, alert.phase, value)
        if phase is alert.phase:
            return None
        effect = Effect(
            alert.id, alert.version, alert.symbol, alert.priority, alert.rule, alert.phase, phase, fires,
            tick.received_us, tick.price, alert.armed_us, alert.armed_price, alert.fire_seq,
        )  # fmt: skip
        if fires:
            effect.tick, effect.extra = tick, book.series.evidence()
            effect.before = lane.last_regular if book.regular_only else lane.last
            effect.source = "gap" if lane.gap != self._gap else "tick"
        self._settle(alert, effect)
        return effect

    def _settle(self, alert: Watched, effect: Effect) -> None:
        """Ask whether a fire is wanted, and remember what has become of the alert."""
        if effect.fires:
            allowance = conditions.allowed(
                alert.rule, moment(effect.at_us), _moment(alert.last_fired_us), alert.last_fired_day
            )
            effect.day, effect.refusal = allowance.day, allowance.refusal
            effect.fires = not allowance.refusal
        if effect.fires:
            alert.fire_seq += 1
            alert.last_fired_us, alert.last_fired_day = effect.at_us, effect.day or alert.last_fired_day
        alert.phase, alert.armed_us = effect.phase, effect.at_us
        if effect.phase is Phase.ARMED:
            alert.armed_price = effect.price

    # --- silence

    def on_clock(
        self, now_us: int, silent_since: Callable[[str, TickLike | None], int | None]
    ) -> list[Effect]:
        """For alerts on quotes gone stale, as things stood at `now_us`. `silent_since(symbol, last tick)` is from when
        silence counts, in microseconds: not before the market opened; None: silence is normal now."""
        effects: list[Effect] = []
        for symbol in list(self._silent):
            lane = self.lanes.get(symbol)
            books = [book for which, book in lane.books.items() if which.kind == Kind.STALE] if lane else []
            if lane is None or not books:
                self._silent.discard(symbol)
                continue
            since = silent_since(symbol, lane.last)
            for book in books:
                effects += self._hear_silence(book, now_us, since, lane)
        self._drop_done(effects)
        return effects

    def _hear_silence(self, book: Book, now_us: int, since: int | None, lane: Lane) -> list[Effect]:
        """Of an alert that was armed in the middle of a silence, what has passed since then counts."""
        heard = since, lane.last.received_us if lane.last else NEVER
        effects = []
        for alert in book.take_silent(_seconds_since(since, now_us), heard):
            effect = self._decide_silence(alert, now_us, since, lane)
            book.place(alert)
            if effect is not None:
                effects.append(effect)
        book.measure()
        return effects

    def _decide_silence(self, alert: Watched, now_us: int, since: int | None, lane: Lane) -> Effect | None:
        if now_us < alert.armed_us:
            return None  # newer than what was heard
        if alert.phase is Phase.WAITING and not _heard_since(lane, alert.armed_us):
            return None  # one silence is told once, whoever was started meanwhile
        silent_s = _seconds_since(None if since is None else max(since, alert.armed_us), now_us)
        phase, fires = conditions.step(alert.rule, alert.phase, silent_s)
        if phase is alert.phase:
            return None
        effect = Effect(
            alert.id, alert.version, alert.symbol, alert.priority, alert.rule, alert.phase, phase, fires,
            now_us, lane.last.price if lane.last else None, alert.armed_us, alert.armed_price, alert.fire_seq,
            source="clock", before=lane.last, extra={"silent_s": str(float(silent_s))},
        )  # fmt: skip
        self._settle(alert, effect)
        return effect


def _seconds_since(since: int | None, now_us: int) -> Decimal:
    """None: silence is normal."""
    return Decimal(0 if since is None else max(0, now_us - since)) / 1_000_000


def _heard_since(lane: Lane, at_us: int) -> bool:
    return lane.last is not None and lane.last.received_us > at_us


def _urgency(effect: Effect) -> int:
    return effect.priority


def _moment(microseconds: int) -> datetime | None:
    return moment(microseconds) if microseconds else None


def facts(effect: Effect) -> dict[str, Any]:
    """The evidence of a fire as it is kept."""
    return {
        "rule": evidence.rule_json(effect.rule),
        "before": evidence.tick_json(effect.before) if effect.before else None,
        "tick": evidence.tick_json(effect.tick) if effect.tick else None,
        "extra": effect.extra,
    }
