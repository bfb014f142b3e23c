"""One line of the list of alerts: rule, price now, how far it is from firing, how it stands, whom it tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cached_property

from alerts.kinds import Mode, Priority, Sessions
from alerts.models import Alert, Channel
from alerts.states import State, distance, state_of
from alerts.wording import MODES, condition, number, span
from dashboard import formats
from dashboard.moments import day_words, moment_words
from dashboard.rows import REASONS, WatchRow, row_of
from marketdata.quotes import NoQuote, Quote

# A level further away than this has an empty bar.
FAR_PERCENT = Decimal(5)


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: a word, an icon and a kind of badge."""

    word: str
    icon: str
    badge: str = ""
    meaning: str = ""


LOOKS = {
    State.ARMED: Look("Armed", "target", "", "Watches every trade."),
    State.FRESH: Look("Arming", "target", "", "The next trade arms it."),
    State.WAITING: Look(
        "Fired", "alert", "accent", "It has fired; it is armed again when the price comes back."
    ),
    State.SNOOZED: Look("Snoozed", "moonrest", "", "What happens meanwhile is not told."),
    State.PAUSED: Look("Paused", "pause", "warn", "Nothing is evaluated."),
    State.TRIGGERED: Look("Done", "check", "accent", "It fires once, and has."),
    State.EXPIRED: Look("Expired", "hourglass", "", "Its last day is over."),
}


@dataclass(frozen=True)
class AlertRow:
    alert: Alert
    quote: Quote | NoQuote | None
    now: datetime
    zone: tzinfo
    channels: tuple[Channel, ...] = ()

    @cached_property
    def state(self) -> State:
        return state_of(self.alert, self.now)

    @property
    def look(self) -> Look:
        return LOOKS[self.state]

    @property
    def state_words(self) -> str:
        until = self.alert.snoozed_until
        if self.state is State.SNOOZED and until is not None:
            return f"Snoozed until {_until(until, self.now, self.zone)}"
        return self.look.word

    @property
    def symbol(self) -> str:
        return self.alert.ticker.symbol

    @cached_property
    def condition(self) -> str:
        said = condition(self.alert.rule).removeprefix("is ")
        return said[:1].upper() + said[1:]

    @property
    def options(self) -> str:
        """How often, and what is unusual about it: the second line."""
        rule = self.alert.rule
        parts = [MODES[rule.mode].capitalize()]
        if rule.sessions is Sessions.EXTENDED:
            parts.append("with extended hours")
        if rule.mode is not Mode.ONCE and rule.rearm_band:
            parts.append(f"{number(rule.rearm_band)}{formats.THIN}% band")
        if rule.mode is not Mode.ONCE and rule.cooldown_s:
            parts.append(f"at most every {span(rule.cooldown_s)}")
        if self.alert.priority <= Priority.HIGH:
            parts.append(Priority(self.alert.priority).name.lower())
        parts += [part for part in (self.alert.category, self.alert.note) if part]
        return ", ".join(parts)

    @cached_property
    def shown(self) -> WatchRow | None:
        if self.quote is None:
            return None
        return row_of(self.alert.ticker, self.quote, self.now).with_own_decimals()

    @property
    def price(self) -> str:
        return self.shown.price if self.shown else formats.NOTHING

    @property
    def price_note(self) -> str:
        """Only what keeps the price from being watched: that there is none, or that it is old."""
        if isinstance(self.quote, NoQuote):
            return REASONS[self.quote.reason]
        return self.shown.badge if self.shown and self.shown.state == "stale" else ""

    @cached_property
    def distance(self) -> Decimal | None:
        """None also where nothing can come of it any more."""
        if self.state in (State.TRIGGERED, State.EXPIRED):
            return None
        return distance(self.alert, self.quote)

    @property
    def away(self) -> str:
        return formats.percent(self.distance)

    @property
    def gap(self) -> str:
        """The same where it stands beside the rule, which says the direction."""
        return self.away.removeprefix("+").removeprefix(formats.MINUS)

    @property
    def nearness(self) -> int:
        """Of 48 pixels: full where the level is reached."""
        if self.distance is None:
            return 0
        part = 1 - min(abs(self.distance), FAR_PERCENT) / FAR_PERCENT
        return int(48 * part)

    @property
    def fired(self) -> str:
        fired_at = self.alert.last_fired_at
        return moment_words(fired_at, self.now, self.zone) if fired_at else "Never"

    @property
    def times(self) -> str:
        """How often it has fired; once is said by when it was."""
        return f"{self.alert.fire_seq:,} times" if self.alert.fire_seq > 1 else ""

    @property
    def sent_to(self) -> str:
        names = [channel.name for channel in self.channels if channel.lowest_priority >= self.alert.priority]
        return ", ".join(["App", *names])

    @property
    def can_pause(self) -> bool:
        return self.alert.active

    @property
    def can_resume(self) -> bool:
        return self.state in (State.PAUSED, State.SNOOZED, State.TRIGGERED)

    @property
    def resume_words(self) -> str:
        return {State.SNOOZED: "Wake up", State.TRIGGERED: "Arm again"}.get(self.state, "Resume")

    @property
    def name(self) -> str:
        """For those who do not see the row its buttons are in."""
        return f"{self.symbol} {condition(self.alert.rule)}"


def _until(at: datetime, now: datetime, zone: tzinfo) -> str:
    """Only the time if it is today, only the day if it is another one's beginning or far."""
    if at.astimezone(zone).date() == now.astimezone(zone).date():
        return formats.clock_time(at.astimezone(zone))
    return day_words(at, now, zone)


def rows_of(
    alerts: Iterable[Alert],
    quotes: Mapping[str, Quote | NoQuote],
    channels: Iterable[Channel],
    now: datetime,
    zone: tzinfo,
) -> list[AlertRow]:
    """Needs `ticker` and `user` of each."""
    told = tuple(channels)
    return [AlertRow(alert, quotes.get(alert.ticker.symbol), now, zone, told) for alert in alerts]
