"""What a back-test tells beside the form of an alert: how often it would have fired, and from which bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from django.utils.safestring import SafeString

from alerts import backtesting, checking
from alerts.backtest import Fire, Result
from alerts.backtesting import NoBars, Why
from alerts.errors import FieldError, InvalidRule
from alerts.kinds import CHANNELS, LEVELS, Mode, Rule
from alerts.spans import Source
from alerts.wording import number
from core import clock
from dashboard import formats
from dashboard.backtest_chart import picture
from marketdata.actions import today_of
from marketdata.adjusting import Adjustment
from marketdata.models import DailyBar, Ticker
from marketdata.quotes import Quote
from marketdata.series import bar_of, shown_days

# Rows of the table view.
SHOWN_FIRES = 100
# What fires less often needs no band.
FEWEST_FOR_A_BAND = 3
WHOLE_YEAR_DAYS = 350
MISSING = {
    Why.NO_BARS: (
        "No past of it is stored yet",
        "Bars are loaded when somebody opens the page of a ticker. The alert works without them.",
    ),
    Why.NOT_IN_BARS: (
        "The past cannot tell",
        "What this rule looks at leaves no trace in stored bars. The alert works all the same.",
    ),
}
SOURCES = {
    Source.MINUTE: "From minute bars, {0} to {1}; the order inside a minute is assumed.",
    Source.DAY: "From daily highs and lows, {0} to {1}; the order inside a day is assumed.",
}


@dataclass(frozen=True, slots=True)
class FireLine:
    at: str
    price: str


@dataclass(frozen=True, slots=True)
class BacktestView:
    """`title` and `text` say why there is nothing; else the other fields say what there is."""

    title: str = ""
    text: str = ""
    count: int = 0
    times: str = "times"
    within: str = ""
    sentence: str = ""
    band: str = ""
    band_count: int = 0
    own_band: str = ""
    is_once: bool = False
    """A band is for what fires again: taking it changes that too."""
    warning: str = ""
    source: str = ""
    remark: str = ""
    chart: SafeString | None = None
    fires: list[FireLine] = field(default_factory=list)
    more: int = 0


def rule_of(fields: Mapping[str, Any], quote: Quote | None, time_zone: str) -> Rule:
    """What the form says, as a rule to try out; raises InvalidRule. Percent are those of the price that is known."""
    values = checking.checked(fields, clock.now())
    percent = values["threshold_percent"]
    if percent is not None:
        if quote is None:
            raise InvalidRule({"threshold_percent": FieldError("no_price", "No price is known yet.")})
        values["threshold"] = quote.price * (1 + percent / 100)
    known = {field.name for field in dataclass_fields(Rule)}
    return Rule(**{name: value for name, value in values.items() if name in known}, time_zone=time_zone)


def backtest_of(ticker: Ticker, rule: Rule, zone: tzinfo) -> BacktestView:
    found = backtesting.run(ticker.symbol, rule)
    if isinstance(found, NoBars):
        title, text = MISSING[found.why]
        return BacktestView(title=title, text=text)
    return _view(found, rule, _closes(ticker, found.since), zone)


def _view(result: Result, rule: Rule, closes: Sequence[tuple[date, Decimal]], zone: tzinfo) -> BacktestView:
    count = len(result.fires)
    band, band_count = _band(result)
    by_minute = result.source is Source.MINUTE
    shown = result.fires[-SHOWN_FIRES:][::-1]
    return BacktestView(
        count=count,
        times="time" if count == 1 else "times",
        within=_within(result),
        sentence=_sentence(result),
        band=number(band),
        band_count=band_count,
        own_band=number(rule.rearm_band) if rule.rearm_band else "",
        is_once=rule.mode is Mode.ONCE,
        warning=_warning(result) if result.advice.warning else "",
        source=SOURCES[result.source].format(formats.day(result.since), formats.day(result.until)),
        remark="Counted as if it were armed again after each time." if rule.mode is Mode.ONCE else "",
        chart=_picture(result, rule, closes),
        fires=[_line(fire, zone, by_minute=by_minute) for fire in shown],
        more=count - len(shown),
    )


def _band(result: Result) -> tuple[Decimal | None, int]:
    """A re-arm band that is worth a try: what is advised, else the narrowest that leaves half of the fires."""
    advice = result.advice
    if len(result.fires) < FEWEST_FOR_A_BAND:
        return None, 0
    if advice.band is not None:
        return advice.band, advice.fires or 0
    half = len(result.fires) / 2
    for band, count in sorted(result.fires_with_band.items()):
        if count <= half:
            return band, count
    return None, 0


def _within(result: Result) -> str:
    days = (result.until - result.since).days
    return "last year" if days >= WHOLE_YEAR_DAYS else f"last {result.days} trading days"


def _sentence(result: Result) -> str:
    """How often that is, and how it bunches."""
    if not result.fires:
        return "It would have stayed silent."
    if len(result.fires) == 1:
        return f"On {formats.day(result.fires[0].at.date())}."
    weeks = Counter(fire.at.isocalendar()[:2] for fire in result.fires)
    most = max(weeks.values())
    return f"{_pace(result.per_day)}; at most {most} in a week."


def _pace(per_day: float) -> str:
    if per_day >= 1:
        return f"About {per_day:.0f} a day"
    if per_day >= 1 / 5:
        return f"About {per_day * 5:.0f} a week"
    if per_day >= 1 / 21:
        return f"About {per_day * 21:.0f} a month"
    return "Less than one a month"


def _warning(result: Result) -> str:
    return f"{result.per_day:.1f} times a day is more than most people want to hear."


def _line(fire: Fire, zone: tzinfo, *, by_minute: bool) -> FireLine:
    local = fire.at.astimezone(zone)
    at = (
        f"{formats.day(local.date())}, {formats.clock_time(local)}"
        if by_minute
        else formats.day(fire.at.date())
    )
    return FireLine(at, formats.price(fire.price))


def _closes(ticker: Ticker, since: date) -> list[tuple[date, Decimal]]:
    """In the shares that the threshold is in."""
    rows = DailyBar.objects.filter(ticker=ticker, day__gte=since, day__lt=today_of(ticker)).order_by("day")
    bars = [bar_of(row, ticker.symbol) for row in rows]
    return [(bar.start.date(), bar.close) for bar in shown_days(ticker, bars, Adjustment.SPLIT)]


def _picture(result: Result, rule: Rule, closes: Sequence[tuple[date, Decimal]]) -> SafeString | None:
    if len(closes) < 2:
        return None
    wanted = (
        (rule.threshold,)
        if rule.kind in LEVELS
        else (rule.lower, rule.upper)
        if rule.kind in CHANNELS
        else ()
    )
    levels = [level for level in wanted if level is not None]
    days = [fire.at.date() for fire in result.fires if fire.at.date() >= closes[0][0] - timedelta(days=1)]
    return picture(closes, levels, days)
