"""From what a client wrote to a rule that can be: every field is read strictly, every error names its field. Pure.

Texts are read like the numbers they spell, since prices travel as text; what merely resembles a number (true, full
width digits, 1_000, 1e3) is none. What a kind does not use is dropped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.errors import FieldError, InvalidRule
from alerts.kinds import CHANNELS, LEVELS, WINDOWS, Kind, Mode, Priority, Sessions, Way

PRICES_BELOW = Decimal(10**12)
PRICE_DECIMALS, PERCENT_DECIMALS = 8, 4
LOWEST_PERCENT, HIGHEST_PERCENT = Decimal("-99.9"), Decimal(10_000)
WIDEST_BAND = Decimal(50)
LONGEST_COOLDOWN_S = 7 * 86_400
STALE_S = (60, 86_400)
LATEST_EXPIRY = timedelta(days=3_660)
LONGEST_SNOOZE = timedelta(days=366)
CATEGORY_LENGTH, NOTE_LENGTH = 40, 500
HIGHEST_ID = 2**63 - 1
MOST_AT_ONCE = 500

# Other fields say who is told and how loud; these say when it fires.
CONDITION = (
    "kind",
    "threshold",
    "threshold_percent",
    "lower",
    "upper",
    "window_s",
    "way",
    "stale_after_s",
    "sessions",
)
OPTIONS = ("mode", "rearm_band", "cooldown_s", "expires_at")
LABELS = ("priority", "category", "note")
FIELDS = (*CONDITION, *OPTIONS, *LABELS)

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
# They turn round what stands behind them, in the subject of a message as well.
_TURNS_TEXT = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Read = Callable[[Any], Any]


class Wrong(ValueError):
    """One value that cannot be."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Reading:
    """The fields of one request, read one after the other; all errors are told at once."""

    fields: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, FieldError] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return self.fields.get(name) not in (None, "")

    def take(self, name: str, read: Read, default: Any = None, missing: str = "") -> None:
        """`missing` is what to say where a field is needed and not there."""
        if not self.has(name):
            self.values[name] = default
            if missing:
                self.refuse(name, missing, "required")
            return
        try:
            self.values[name] = read(self.fields[name])
        except Wrong as error:
            self.refuse(name, str(error), error.code)

    def refuse(self, name: str, message: str, code: str = "invalid") -> None:
        self.errors[name] = FieldError(code, message)

    def finish(self) -> dict[str, Any]:
        if self.errors:
            raise InvalidRule(self.errors)
        return self.values


def checked(fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The columns of a rule, each of them; raises InvalidRule. Percent are still to be turned into a price."""
    reading = Reading(fields)
    reading.take("kind", one_of(Kind), missing="Choose what to watch for.")
    kind: Kind | None = reading.values.get("kind")
    if kind is not None:
        _read_condition(reading, kind)
    reading.take("sessions", one_of(Sessions), Sessions.REGULAR)
    reading.take("mode", one_of(Mode), Mode.ONCE)
    reading.take("rearm_band", number(Decimal(0), WIDEST_BAND, PERCENT_DECIMALS), Decimal(0))
    reading.take("cooldown_s", whole(0, LONGEST_COOLDOWN_S), 0)
    reading.take("priority", priority, Priority.MEDIUM)
    reading.take("category", text(CATEGORY_LENGTH), "")
    reading.take("note", text(NOTE_LENGTH, lines=True), "")
    reading.take("expires_at", lambda value: moment(value, now, LATEST_EXPIRY))
    if kind is Kind.LEAVES_CHANNEL and not reading.errors:
        _check_band_in_channel(reading)
    return reading.finish()


def until(value: Any, now: datetime) -> datetime:
    """To when an alert is snoozed; raises InvalidRule."""
    reading = Reading({"until": value})
    reading.take(
        "until", lambda one: moment(one, now, LONGEST_SNOOZE), missing="Say until when it is to be silent."
    )
    return reading.finish()["until"]  # type: ignore[no-any-return]


def ids(fields: Mapping[str, Any]) -> list[int]:
    """The rows that are meant, each once; raises InvalidRule."""
    reading = Reading(fields)
    reading.take("ids", _ids, missing="Say which.")
    return reading.finish()["ids"]  # type: ignore[no-any-return]


def bulk(fields: Mapping[str, Any], actions: Iterable[str]) -> tuple[str, list[int]]:
    """What is to be done, and with which; raises InvalidRule."""
    reading = Reading(fields)
    reading.take("action", word(actions), missing="Say what to do.")
    reading.take("ids", _ids, missing="Say which.")
    values = reading.finish()
    return values["action"], values["ids"]


def _ids(value: Any) -> list[int]:
    if not isinstance(value, list) or not value:
        raise Wrong("Write a list of ids.")
    if len(value) > MOST_AT_ONCE:
        raise Wrong(f"At most {MOST_AT_ONCE} at once.", "too_many")
    return list(dict.fromkeys(map(whole(1, HIGHEST_ID), value)))


# --- what each kind needs


def _read_condition(reading: Reading, kind: Kind) -> None:
    unused = ("threshold", "threshold_percent", "lower", "upper", "window_s", "stale_after_s")
    reading.values.update(dict.fromkeys(unused), way=Way.EITHER)
    if kind in LEVELS:
        _read_level(reading)
    elif kind in CHANNELS:
        _read_channel(reading)
    elif kind is Kind.MOVES:
        _read_move(reading)
    elif kind is Kind.VOLUME:
        factor = number(Decimal("0.0001"), HIGHEST_PERCENT, PERCENT_DECIMALS)
        reading.take("threshold", factor, missing="Say how many times the average volume.")
    elif kind is Kind.STALE:
        reading.take("stale_after_s", whole(*STALE_S), missing="Say after how many seconds of silence.")


def _read_level(reading: Reading) -> None:
    if reading.has("threshold") and reading.has("threshold_percent"):
        reading.refuse("threshold_percent", "Give the threshold either as a price or in percent, not both.")
    elif reading.has("threshold_percent"):
        percent = number(LOWEST_PERCENT, HIGHEST_PERCENT, PERCENT_DECIMALS)
        reading.take("threshold_percent", percent)
    else:
        reading.take("threshold", price, missing="Say at which price.")


def _read_channel(reading: Reading) -> None:
    reading.take("lower", price, missing="Say where the channel begins.")
    reading.take("upper", price, missing="Say where the channel ends.")
    lower, upper = reading.values.get("lower"), reading.values.get("upper")
    if lower is not None and upper is not None and lower >= upper:
        reading.refuse("upper", "The upper edge lies above the lower one.")


def _check_band_in_channel(reading: Reading) -> None:
    """A channel that is narrower than its band on both sides would never arm the alert again."""
    values = reading.values
    share = values["rearm_band"] / 100
    if values["lower"] * (1 + share) > values["upper"] * (1 - share):
        reading.refuse("rearm_band", "The band leaves no room inside the channel.")


def _read_move(reading: Reading) -> None:
    percent = number(Decimal("0.0001"), HIGHEST_PERCENT, PERCENT_DECIMALS)
    reading.take("threshold", percent, missing="Say how many percent.")
    reading.take("window_s", _window, missing="Say within which time.")
    reading.take("way", one_of(Way), Way.EITHER)
    down = reading.values.get("way") is Way.DOWN
    if down and (reading.values.get("threshold") or 0) > -LOWEST_PERCENT:
        reading.refuse("threshold", f"Nothing falls by more than {-LOWEST_PERCENT} percent.")


def _window(value: Any) -> int:
    seconds: int = whole(0, 10**9)(value)
    if seconds not in WINDOWS:
        raise Wrong(f"Choose one of {', '.join(map(str, WINDOWS))} seconds.", "invalid_choice")
    return seconds


# --- how one value is read


def price(value: Any) -> Decimal:
    found = _decimal(value, PRICE_DECIMALS)
    if not 0 < found < PRICES_BELOW:
        raise Wrong("A price lies above 0 and below 1,000,000,000,000.", "out_of_range")
    return found


def number(least: Decimal, most: Decimal, decimals: int) -> Read:
    def read(value: Any) -> Decimal:
        found = _decimal(value, decimals)
        if not least <= found <= most:
            raise Wrong(f"Choose from {least:,f} to {most:,f}.", "out_of_range")
        return found

    return read


def _decimal(value: Any, decimals: int) -> Decimal:
    found = as_decimal(value)
    if found is None or not found.is_finite():
        raise Wrong("Write a number such as 187.50.")
    exponent = found.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    if -exponent > decimals:
        raise Wrong(f"At most {decimals} decimals.", "too_many_decimals")
    return found


def as_decimal(value: Any) -> Decimal | None:
    """None for what is no number. JSON's own numbers are taken as they are written."""
    if isinstance(value, str):
        stripped = value.strip(" ")
        return Decimal(stripped) if _NUMBER.fullmatch(stripped) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def whole(least: int, most: int) -> Read:
    def read(value: Any) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value.strip(" ")):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong("Write a whole number.")
        if not least <= value <= most:
            raise Wrong(f"Choose from {least:,} to {most:,}.", "out_of_range")
        return value

    return read


def one_of(words: type[Enum]) -> Read:
    return _choice({str(member.value): member for member in words})


def word(words: Iterable[str]) -> Read:
    return _choice({one: one for one in words})


def _choice(known: Mapping[str, Any]) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in known:
            raise Wrong(f"Choose one of {', '.join(known)}.", "invalid_choice")
        return known[value]

    return read


def priority(value: Any) -> Priority:
    """By its word."""
    if isinstance(value, Priority):
        return value
    found: Priority = _choice({one.name.lower(): one for one in Priority})(value)
    return found


def text(length: int, *, lines: bool = False) -> Read:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Wrong("Write text.")
        found = value.replace("\r\n", "\n").strip()
        if len(found) > length:
            raise Wrong(f"At most {length} characters.", "max_length")
        if any(_is_no_text(sign) and not (lines and sign == "\n") for sign in found):
            raise Wrong("There are control characters in it.")
        return found

    return read


def _is_no_text(sign: str) -> bool:
    return sign in _TURNS_TEXT or unicodedata.category(sign) in {"Cc", "Cs"}


def moment(value: Any, now: datetime, at_most: timedelta) -> datetime:
    """A time to come, ISO 8601; without a zone it is UTC."""
    found = _as_moment(value)
    if found <= now:
        raise Wrong("Choose a time in the future.", "out_of_range")
    if found > now + at_most:
        raise Wrong(f"Choose a time within {at_most.days:,} days.", "out_of_range")
    return found


def end_of_day(value: Any, time_zone: str) -> Any:
    """A bare date as the first moment after that day, there; whatever else it is comes back as it is."""
    try:
        return datetime.combine(date.fromisoformat(value) + timedelta(days=1), time(), ZoneInfo(time_zone))
    except (TypeError, ValueError, OverflowError, ZoneInfoNotFoundError):
        return value


def _as_moment(value: Any) -> datetime:
    if isinstance(value, str) and _is_date(value):
        raise Wrong("Write the time of day as well, such as 2026-12-31T21:00:00Z.")
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Wrong("Write a time such as 2026-12-31T21:00:00Z.") from None


def _is_date(text: str) -> bool:
    """Where a day begins and ends is another question in each zone."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
