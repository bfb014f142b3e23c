"""How often a rule would have fired over past bars, so that nobody arms an alert that rings all day. Pure.

The decisions are those of the live engine (conditions.py). What a bar hides is the way of the price within it; it is
taken to have gone from the open to that extreme which is nearer to the open, then to the other one, then to the close.
So a bar tells at most one excursion each way, and a price that was touched is never missed. A fire has the first of
these four prices that is beyond, and the start of its bar as its time.

It is counted as if the alert were armed again after each fire, whether it would be or not: an alert that fires once
tells nothing about a year. Once a day stays once a day. Expiry and snoozing are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from alerts.conditions import NOWHERE, allowed, quiet, step
from alerts.kinds import Mode, Phase, Rule, first_phase
from alerts.series import Reference
from alerts.spans import Source, Span, can_tell, day_of, days_in, spans_of
from marketdata.quotes import Bar

# In percent of the threshold; what is suggested is one of them.
BANDS = tuple(map(Decimal, ("0.1", "0.25", "0.5", "1")))
# On average a day: above the first it rings too often, below the second a band is good enough.
TOO_OFTEN, SELDOM_ENOUGH = 3, 1


class Fire(NamedTuple):
    at: datetime
    price: Decimal


class Advice(NamedTuple):
    """`warning`: it would ring too often. `band` is worth a try, with so many `fires`; None: no band helps, or none is
    needed."""

    warning: bool
    band: Decimal | None = None
    fires: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """`days` is how many trading days there are from `since` to `until`; `counted_as` is never once.

    `fires_with_band` says how many fires a wider re-arm band than its own would leave.
    """

    fires: list[Fire]
    days: int
    since: date
    until: date
    source: Source
    counted_as: Mode
    fires_with_band: dict[Decimal, int] = field(default_factory=dict)

    @property
    def per_day(self) -> float:
        return len(self.fires) / self.days if self.days else 0.0

    @property
    def advice(self) -> Advice:
        warning = len(self.fires) > TOO_OFTEN * self.days
        if len(self.fires) < SELDOM_ENOUGH * self.days or not self.fires_with_band:
            return Advice(warning)
        enough = (band for band, count in self.fires_with_band.items() if count < SELDOM_ENOUGH * self.days)
        band = next(enough, None) or min(self.fires_with_band, key=lambda one: self.fires_with_band[one])
        fires = self.fires_with_band[band]
        return Advice(warning, band, fires) if fires < len(self.fires) else Advice(warning)


def run(
    rule: Rule, bars: Sequence[Bar], source: Source, references: Mapping[date, Reference] | None = None
) -> Result | None:
    """Bars are oldest first, of the sessions that the rule looks at, and all in the shares of the threshold.

    `references` has for each day what the kinds that compare with the past need. None: the bars tell nothing of it.
    """
    rule = _as_counted(rule)
    spans = list(spans_of(rule, bars, source, references or {})) if can_tell(rule, source) else []
    if not spans:
        return None
    wider = [band for band in BANDS if band > rule.rearm_band]
    return Result(
        fires=list(_fires(rule, spans)),
        days=days_in(spans, source),
        since=day_of(spans[0].at, source),
        until=day_of(spans[-1].at, source),
        source=source,
        counted_as=rule.mode,
        fires_with_band={
            band: sum(1 for _ in _fires(replace(rule, rearm_band=band), spans)) for band in wider
        },
    )


def _as_counted(rule: Rule) -> Rule:
    mode = Mode.DAILY if rule.mode is Mode.DAILY else Mode.REPEAT
    return replace(rule, mode=mode, expires_at=None, snoozed_until=None)


def _fires(rule: Rule, spans: Iterable[Span]) -> Iterator[Fire]:
    phase, fired_at, fired_day = first_phase(rule.kind), None, None
    low, high = _edges(rule, phase, None)
    for span in spans:
        if low <= span.low and span.high <= high:
            continue
        for value, price in span.points():
            phase, fires = step(rule, phase, value)
            if not fires:
                continue
            refusal, day = allowed(rule, span.at, fired_at, fired_day)
            if not refusal:
                fired_at, fired_day = span.at, day
                yield Fire(span.at, price)
        low, high = _edges(rule, phase, value)


def _edges(rule: Rule, phase: Phase, value: Decimal | None) -> tuple[Decimal, Decimal]:
    """Between them nothing happens."""
    low, high = quiet(rule, phase, value)
    return -NOWHERE if low is None else low, NOWHERE if high is None else high
