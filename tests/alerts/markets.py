"""Ticks and rules that lie where mistakes are: around thresholds, on edges, at midnight, when clocks change.

`pick(a_list)` makes every choice, so that hypothesis can shrink what it finds and a plain seed can make thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from alerts.kinds import CHANNELS, LEVELS, WINDOWS, Kind, Mode, Rule, Sessions, Way
from alerts.series import Reference
from marketdata.quotes import Accepted, microseconds

T = TypeVar("T")
Pick = Callable[[Sequence[T]], T]

SYMBOLS = ("ABC", "XYZ")
# A plain day; clocks forward and back in New York, in Berlin; the end of a year; a leap day.
STARTS = [
    datetime(2026, 3, 4, 15, 0, tzinfo=UTC),
    datetime(2026, 3, 8, 4, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 3, 30, tzinfo=UTC),
    datetime(2026, 10, 24, 21, 45, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 59, tzinfo=UTC),
    datetime(2028, 2, 29, 4, 59, tzinfo=UTC),
]
ZONES = ["UTC", "America/New_York", "Asia/Tokyo", "Europe/Berlin", "Pacific/Kiritimati", "Asia/Kathmandu"]
PAUSES_US = [0, 0, 1, 1_000, 150_000, 1_000_000, 14_000_000, 61_000_000, 299_000_000, 1_800_000_000]
LONG_PAUSES_US = [3_600_000_000, 3 * 3_600_000_000, 13 * 3_600_000_000, 25 * 3_600_000_000]
LINES = [Decimal(text) for text in ("98", "99", "99.5", "100", "100.1", "101", "102")]
BANDS = [Decimal(text) for text in ("0", "0", "0.01", "0.1", "0.5", "1")]
CENT = Decimal("0.01")
# On each line, a cent beside it, where a band ends, and a real gap away.
PRICES = sorted(
    {line + n * CENT for line in LINES for n in (-1, 0, 1)}
    | {line * (1 + sign * band / 100) for line in LINES for band in BANDS for sign in (-1, 1)}
    | {Decimal(80), Decimal("123.45"), Decimal("100.00000001"), Decimal("99.99999999")}
)
REFERENCE = Reference(high_52w=Decimal(101), low_52w=Decimal(99), average_volume=Decimal(1_000))


def a_rule(pick: Pick, start: datetime) -> Rule:
    kind = pick([*LEVELS, *LEVELS, *CHANNELS, Kind.MOVES, Kind.VOLUME, Kind.HIGH_52W, Kind.LOW_52W])
    lower, upper = sorted(pick([(LINES[a], LINES[b]) for a in range(3) for b in range(3, 7)]))
    later = [start + timedelta(microseconds=n) for n in (*PAUSES_US[4:], *LONG_PAUSES_US)]
    return Rule(
        kind=kind,
        threshold=_threshold(kind, pick),
        lower=lower if kind in CHANNELS else None,
        upper=upper if kind in CHANNELS else None,
        window_s=pick(list(WINDOWS)) if kind is Kind.MOVES else None,
        way=pick(list(Way)),
        sessions=pick(list(Sessions)),
        mode=pick([Mode.ONCE, Mode.DAILY, Mode.REPEAT, Mode.REPEAT, Mode.REPEAT]),
        rearm_band=pick(BANDS),
        cooldown_s=pick([0, 0, 0, 1, 60, 3_600]),
        expires_at=pick([None, None, None, None, *later]),
        snoozed_until=pick([None, None, None, None, *later]),
        time_zone=pick(ZONES),
    )


def _threshold(kind: Kind, pick: Pick) -> Decimal | None:
    if kind in LEVELS:
        return pick(LINES)
    if kind is Kind.MOVES:
        return pick([Decimal(text) for text in ("0.5", "1", "2", "10")])
    return pick([Decimal("0.5"), Decimal(1), Decimal("1.5")]) if kind is Kind.VOLUME else None


@dataclass
class Market:
    """Makes ticks, one after the other."""

    pick: Pick
    now: datetime = field(init=False)
    volume: int = 0

    def __post_init__(self) -> None:
        self.now = self.pick(STARTS)

    @property
    def now_us(self) -> int:
        return microseconds(self.now)

    def tick(self) -> Accepted:
        pick = self.pick
        self.now += timedelta(microseconds=pick(PAUSES_US * 3 + LONG_PAUSES_US))
        self.volume = pick([self.volume, self.volume + 100, self.volume + 700, 0])
        rare = [False] * 15 + [True]
        return Accepted(
            symbol=pick([*SYMBOLS[:1] * 3, *SYMBOLS[1:]]),
            price=pick(PRICES),
            as_of_us=self.now_us - pick([0, 200_000, 900_000_000]),
            received_us=self.now_us,
            provider=pick(["alpaca", "yahoo"]),
            session=pick(["regular"] * 8 + ["pre", "post", "closed"]),
            volume=self.volume,
            rebased=pick(rare),
            halted=pick(rare),
            replay=pick(rare),
            delayed_s=pick([0, 0, 900]),
        )
