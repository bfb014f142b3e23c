"""The form of an alert: what people type, turned into the fields of `alerts.rules`, and its errors back again.

Whether a rule can be is judged there alone; here only units differ, such as minutes where the rule has seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from django import forms

from alerts.errors import InvalidRule
from alerts.kinds import CHANNELS, LEVELS, WINDOWS, Kind, Mode, Priority, Sessions, Way
from alerts.models import Alert
from alerts.wording import number, price, span
from dashboard.moments import zone_of

KINDS = (
    ("Price level", (Kind.ABOVE, Kind.BELOW, Kind.CROSSES_ABOVE, Kind.CROSSES_BELOW)),
    ("Price range", (Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL)),
    ("Movement", (Kind.MOVES, Kind.HIGH_52W, Kind.LOW_52W)),
    ("Trading", (Kind.VOLUME, Kind.STALE)),
)
KIND_NAMES = {
    Kind.ABOVE: "Above",
    Kind.BELOW: "Below",
    Kind.CROSSES_ABOVE: "Crosses above",
    Kind.CROSSES_BELOW: "Crosses below",
    Kind.LEAVES_CHANNEL: "Leaves a channel",
    Kind.ENTERS_CHANNEL: "Enters a channel",
    Kind.MOVES: "Moves by percent",
    Kind.HIGH_52W: "New 52-week high",
    Kind.LOW_52W: "New 52-week low",
    Kind.VOLUME: "Unusual volume",
    Kind.STALE: "No price for a while",
}
KIND_HELP = {
    Kind.ABOVE: "Fires at the first trade above, also if it is above already.",
    Kind.BELOW: "Fires at the first trade below, also if it is below already.",
    Kind.CROSSES_ABOVE: "Fires when the price comes from below, not if it is above already.",
    Kind.CROSSES_BELOW: "Fires when the price comes from above, not if it is below already.",
    Kind.LEAVES_CHANNEL: "Fires at the first trade outside; the edges belong to the channel.",
    Kind.ENTERS_CHANNEL: "Fires at the first trade inside, coming from outside.",
    Kind.MOVES: "Fires when the price has moved so far within the time.",
    Kind.HIGH_52W: "Fires above the highest price of the 52 weeks until yesterday.",
    Kind.LOW_52W: "Fires below the lowest price of the 52 weeks until yesterday.",
    Kind.VOLUME: "Fires when more shares were traded today than so many average days.",
    Kind.STALE: "Fires when no price has come for so long while the market is open.",
}
MODES = ((Mode.ONCE, "Once"), (Mode.DAILY, "Once a day"), (Mode.REPEAT, "Every time"))
WAYS = ((Way.EITHER, "Either"), (Way.UP, "Up"), (Way.DOWN, "Down"))
SESSIONS = ((Sessions.REGULAR, "Regular"), (Sessions.EXTENDED, "Regular and extended"))
PRICE, PERCENT = "price", "percent"
PLAIN_NUMBER = re.compile(r"[0-9]{1,7}(\.[0-9]{1,4})?", re.ASCII)
# What the form calls otherwise than the rule does.
RENAMED = {"stale_after_s": "stale_minutes", "cooldown_s": "cooldown_minutes", "expires_at": "expires_on"}


def text_field(label: str, help_text: str = "", *, mode: str = "decimal", most: int = 40) -> forms.CharField:
    """Numbers travel as text: how they are read is the rule's business."""
    widget = forms.TextInput(attrs={"inputmode": mode, "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=most, widget=widget)


def choice_field(label: str, choices: Any, initial: str) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, initial=initial, required=False)


class AlertForm(forms.Form):
    """`fields_of_rule` of a form is what `alerts.rules` takes; `refuse` writes its errors to the fields."""

    use_required_attribute = False

    symbol = forms.CharField(
        label="Ticker",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Enter a ticker symbol, such as AAPL."},
    )
    kind = choice_field(
        "Condition",
        [(group, [(kind.value, KIND_NAMES[kind]) for kind in kinds]) for group, kinds in KINDS],
        Kind.ABOVE.value,
    )
    level = text_field("Price")
    unit = choice_field("Unit", [(PRICE, "USD"), (PERCENT, "%")], PRICE)
    lower = text_field("From")
    upper = text_field("To")
    move = text_field("Percent")
    window_s = choice_field("Within", [(str(one), span(one)) for one in WINDOWS], "86400")
    way = choice_field("Direction", [(one.value, words) for one, words in WAYS], Way.EITHER.value)
    factor = text_field("Times the average", "Of the last 20 days.")
    stale_minutes = text_field("After", mode="numeric")
    mode = forms.ChoiceField(
        label="How often",
        choices=[(one.value, words) for one, words in MODES],
        initial=Mode.ONCE.value,
        required=False,
        widget=forms.RadioSelect,
    )
    rearm_band = text_field("Re-arm band", "How far the price must come back before it can fire again.")
    cooldown_minutes = text_field("Cooldown", "Silent for so long after it has fired.", mode="numeric")
    sessions = choice_field(
        "Session", [(one.value, words) for one, words in SESSIONS], Sessions.REGULAR.value
    )
    priority = choice_field(
        "Priority", [(one.name.lower(), one.name.capitalize()) for one in Priority], "medium"
    )
    category = text_field("Category", "A word of yours, to find it again.", mode="text")
    note = text_field("Note", "Comes with the notification.", mode="text", most=500)
    expires_on = forms.DateField(
        label="Expires",
        required=False,
        help_text="After the end of this day it no longer fires.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    @property
    def chosen(self) -> Kind:
        """The kind that the form shows, also while it is not valid."""
        try:
            return Kind(str(self["kind"].value()))
        except ValueError:
            return Kind.ABOVE

    @property
    def kind_help(self) -> str:
        return KIND_HELP[self.chosen]

    @property
    def helps(self) -> dict[str, str]:
        """For the script that follows the choice."""
        return {kind.value: words for kind, words in KIND_HELP.items()}

    def fields_of_rule(self, zone: tzinfo) -> dict[str, Any]:
        """Of a valid form. What only other kinds than the chosen one need is nothing."""
        given = self.cleaned_data
        fields = {
            name: given[name]
            for name in ("symbol", "kind", "mode", "rearm_band", "sessions", "priority", "category", "note")
        }
        unused = ("threshold", "threshold_percent", "lower", "upper", "window_s", "stale_after_s")
        fields |= dict.fromkeys(unused) | self._condition(Kind(given["kind"] or Kind.ABOVE))
        fields["cooldown_s"] = in_seconds(given["cooldown_minutes"])
        fields["expires_at"] = end_of(given["expires_on"], zone)
        return fields

    def changes_of_rule(self, zone: tzinfo) -> dict[str, Any]:
        """Of an alert that is edited: what shows less than there is stays as it is while nobody touches it.

        A level may have been given in percent, and an expiry to the second.
        """
        fields, touched = self.fields_of_rule(zone), set(self.changed_data)
        if fields["kind"] in LEVELS and not touched & {"kind", "level", "unit"}:
            del fields["threshold"], fields["threshold_percent"]
        if "expires_on" not in touched:
            del fields["expires_at"]
        return fields

    def _condition(self, kind: Kind) -> dict[str, Any]:
        given = self.cleaned_data
        if kind in LEVELS:
            name = "threshold_percent" if given["unit"] == PERCENT else "threshold"
            return {name: given["level"]}
        if kind in CHANNELS:
            return {"lower": given["lower"], "upper": given["upper"]}
        if kind is Kind.MOVES:
            return {"threshold": given["move"], "window_s": given["window_s"], "way": given["way"]}
        if kind is Kind.VOLUME:
            return {"threshold": given["factor"]}
        return {"stale_after_s": in_seconds(given["stale_minutes"])} if kind is Kind.STALE else {}

    def refuse(self, error: InvalidRule) -> None:
        for name, said in error.errors.items():
            self.add_error(self._named(name), said.message)

    def _named(self, name: str) -> str | None:
        if name in ("threshold", "threshold_percent"):
            return {Kind.MOVES: "move", Kind.VOLUME: "factor"}.get(self.chosen, "level")
        found = RENAMED.get(name, name)
        return found if found in self.fields else None


def in_seconds(minutes: str) -> str:
    """What is no number stays as it is: the rule says what is wrong with it."""
    if not PLAIN_NUMBER.fullmatch(minutes.strip()):
        return minutes
    seconds = Decimal(minutes.strip()) * 60
    return str(int(seconds)) if seconds == int(seconds) else minutes


def end_of(day: date | None, zone: tzinfo) -> datetime | None:
    """The first moment of the next day, in the owner's time zone."""
    return datetime.combine(day + timedelta(days=1), time(), zone) if day else None


def initial_of(alert: Alert) -> dict[str, Any]:
    """What the form of this alert shows. Needs `ticker` and `user`."""
    kind = Kind(alert.kind)
    threshold = price(alert.threshold) if kind in LEVELS else number(alert.threshold)
    return {
        "symbol": alert.ticker.symbol,
        "kind": alert.kind,
        "level": threshold if kind in LEVELS else "",
        "unit": PRICE,
        "move": threshold if kind is Kind.MOVES else "",
        "factor": threshold if kind is Kind.VOLUME else "",
        "lower": price(alert.lower),
        "upper": price(alert.upper),
        "window_s": str(alert.window_s or ""),
        "way": alert.way,
        "stale_minutes": _minutes(alert.stale_after_s),
        "mode": alert.mode,
        "rearm_band": number(alert.rearm_band),
        "cooldown_minutes": _minutes(alert.cooldown_s),
        "sessions": alert.sessions,
        "priority": Priority(alert.priority).name.lower(),
        "category": alert.category,
        "note": alert.note,
        "expires_on": _last_day(alert.expires_at, zone_of(alert.user.time_zone)),
    }


def _minutes(seconds: int | None) -> str:
    return number(Decimal(seconds) / 60) if seconds else ""


def _last_day(at: datetime | None, zone: tzinfo) -> date | None:
    return (at.astimezone(zone) - timedelta(microseconds=1)).date() if at else None


def first_values(symbol: str, at: Decimal | None, kind: str = "", given: str = "") -> Mapping[str, Any]:
    """Of a new alert: at the level that was given, else at the current price, to be moved a little."""
    known = {one.value for one in Kind}
    level = str(at.quantize(Decimal("0.0001" if at < 1 else "0.01"))) if at else ""
    level = given.strip() if PLAIN_NUMBER.fullmatch(given.strip()) else level
    return {"symbol": symbol, "level": level, "kind": kind if kind in known else Kind.ABOVE.value}
