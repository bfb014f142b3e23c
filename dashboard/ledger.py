"""What a window of time cost, and whom: the ledger, the price book and the watch intervals, joined when asked.

Nothing is stored, so that a corrected price re-prices the past as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import tee
from threading import Lock

from django.conf import settings
from django.core.cache import cache
from django.db.models import OuterRef, Q, Subquery

from dashboard.costs import PARTS_PER_FEMTO, Amount, Attribution, Purchase, Wish, attribute
from dashboard.text_ledger import TextLedger, text_calls
from marketdata.models import ProviderCall
from marketdata.pricebook import book_of
from marketdata.pricing import Book, fees_of, priced
from marketdata.quotes import microseconds
from subscriptions.models import Subscription, WatchInterval

CACHE_S = 60
ROWS_AT_ONCE = 5_000
# Whoever comes while a report is made waits for it instead of making it as well.
_one_at_a_time = Lock()
LONGEST = timedelta(days=31)
# The cause under which monthly fees stand.
FEE = "fee"
# What was not bought of a language model.
NO_MODEL = ""
SEPARATOR = "\t"


@dataclass(frozen=True, slots=True)
class Window:
    """From start to end, which is no longer part of it."""

    start: datetime
    end: datetime

    @classmethod
    def last_days(cls, days: int, now: datetime) -> Window:
        """Today and the days before, up to the end of this minute, so that a minute's readers share one report."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(
            today - timedelta(days=days - 1), now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        )

    def days(self) -> Iterator[tuple[date, datetime, datetime]]:
        """Each day (UTC) that has a part in it, with that part."""
        day = self.start.astimezone(UTC).date()
        while (begins := datetime.combine(day, time(), UTC)) < self.end:
            following = begins + timedelta(days=1)
            yield day, max(begins, self.start), min(following, self.end)
            day += timedelta(days=1)


@dataclass
class Part:
    """What one provider, cause or day cost, in parts of a dollar, and how much of it has no price."""

    cost: int = 0
    unshared: int = 0
    calls: int = 0
    unpriced: int = 0
    symbols: int = 0
    plans: set[str] = field(default_factory=set)

    def add(self, other: Part) -> None:
        self.cost += other.cost
        self.unshared += other.unshared
        self.calls += other.calls
        self.unpriced += other.unpriced
        self.symbols += other.symbols
        self.plans |= other.plans


@dataclass
class Report:
    """All that is known of one window."""

    window: Window
    attribution: Attribution
    total: Part
    by_provider: dict[str, Part]
    by_cause: dict[str, Part]
    by_model: dict[str, Part]
    """Language models by vendor and name; all else under NO_MODEL."""
    by_day: dict[date, Part]
    fees_by_day: dict[date, int]
    texts: TextLedger


def cached_report(window: Window) -> Report:
    """For pages: at most so old as CACHE_S, the same for everybody who may see it."""
    key = f"costs:2:{window.start.isoformat()}:{window.end.isoformat()}"
    found = cache.get(key)
    if isinstance(found, Report):
        return found
    with _one_at_a_time:
        found = cache.get(key)
        if not isinstance(found, Report):
            found = report(window)
            cache.set(key, found, CACHE_S)
    return found


def report(window: Window) -> Report:
    book = book_of(window.start, window.end)
    parts: dict[str, Part] = defaultdict(Part)
    texts = TextLedger()
    purchases = [*_purchases(window, book, parts), *_texts(window, book, parts, texts)]
    fees = {
        provider: fee * PARTS_PER_FEMTO for provider, fee in fees_of(book, window.start, window.end).items()
    }
    found = attribute(purchases, _wishes(window), house=settings.DEMO_SYMBOLS, fees=fees)
    for label, amount in found.labels.items():
        parts[label].cost, parts[label].unshared = amount.cost, amount.unshared
    _add_fees(window, book, found, parts)
    return _summed(window, found, parts, texts)


def _purchases(window: Window, book: Book, parts: dict[str, Part]) -> Iterator[Purchase]:
    """Each call of the window; what is counted of it goes into its part."""
    rows = ProviderCall.objects.filter(at__gte=window.start, at__lt=window.end).values_list(
        "at", "provider", "plan", "endpoint", "cause", "symbols", "units", "unit", named=True
    )
    calls, same_calls = tee(rows.iterator(ROWS_AT_ONCE))
    for call, femto in zip(calls, priced(same_calls, book), strict=True):
        label = _label(call.provider, call.cause, call.at.astimezone(UTC).date())
        part = parts[label]
        part.calls += 1
        part.unpriced += femto is None
        part.symbols += len(call.symbols)
        part.plans.add(call.plan)
        yield Purchase(
            at=microseconds(call.at),
            provider=call.provider,
            symbols=tuple(call.symbols),
            cost=(femto or 0) * PARTS_PER_FEMTO,
            usage=int(call.units.scaleb(6)),
            label=label,
        )


def _texts(window: Window, book: Book, parts: dict[str, Part], texts: TextLedger) -> Iterator[Purchase]:
    """Each call of a language model that has ended, likewise; and what is only known of these."""
    for call, femto in text_calls(window.start, window.end, book):
        label = _label(call.vendor, call.task, call.at.astimezone(UTC).date(), call.model)
        part = parts[label]
        part.calls += 1
        part.unpriced += femto is None
        part.symbols += len(call.symbols)
        part.plans.add(call.model)
        cost = (femto or 0) * PARTS_PER_FEMTO
        texts.add(call, cost, is_priced=femto is not None)
        yield Purchase(
            at=microseconds(call.at),
            provider=call.vendor,
            symbols=tuple(call.symbols),
            cost=cost,
            usage=call.input_tokens + call.output_tokens,
            label=label,
            is_text=True,
        )


def _label(provider: str, cause: str, day: date, model: str = "") -> str:
    return SEPARATOR.join((provider, cause, day.isoformat(), model))


def _wishes(window: Window) -> Iterator[Wish]:
    """The intervals that touch the window. One that streamed ends when its row ran out, also before that is written."""
    still = Subscription.objects.filter(user=OuterRef("user"), ticker=OuterRef("ticker"))
    rows = (
        WatchInterval.objects.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=window.start))
        .filter(started_at__lt=window.end)
        .annotate(runs_out=Subquery(still.values("ends_at")[:1]))
        .values_list("user_id", "ticker__symbol", "started_at", "ended_at", "runs_out")
    )
    for user, symbol, start, ended, runs_out in rows.iterator(ROWS_AT_ONCE):
        end = ended or runs_out
        yield Wish(str(user), symbol, microseconds(start), microseconds(end) if end else None)


def _add_fees(window: Window, book: Book, found: Attribution, parts: dict[str, Part]) -> None:
    """To the days on which they accrue; what each would be without sharing follows the window's proportion."""
    daily: dict[str, dict[date, int]] = defaultdict(dict)
    for day, start, end in window.days():
        for provider, fee in fees_of(book, start, end).items():
            daily[provider][day] = fee
    for provider, amount in found.fees.items():
        whole = sum(daily[provider].values())
        before = 0
        for day, fee in daily[provider].items():
            part = parts[_label(provider, FEE, day)]
            part.cost += _slice(amount.cost, before, fee, whole)
            part.unshared += _slice(amount.unshared, before, fee, whole)
            before += fee


def _slice(amount: int, before: int, share: int, whole: int) -> int:
    return amount * (before + share) // whole - amount * before // whole


def _summed(window: Window, found: Attribution, parts: dict[str, Part], texts: TextLedger) -> Report:
    total = Part()
    by_provider: dict[str, Part] = defaultdict(Part)
    by_cause: dict[str, Part] = defaultdict(Part)
    by_model: dict[str, Part] = defaultdict(Part)
    by_day: dict[date, Part] = {day: Part() for day, _, _ in window.days()}
    fees_by_day = dict.fromkeys(by_day, 0)
    for label, part in parts.items():
        provider, cause, day, model = label.split(SEPARATOR)
        named = f"{provider} {model}" if model else NO_MODEL
        of_label = (by_provider[provider], by_cause[cause], by_model[named], by_day[date.fromisoformat(day)])
        for sum_ in (total, *of_label):
            sum_.add(part)
        if cause == FEE:
            fees_by_day[date.fromisoformat(day)] += part.cost
    return Report(
        window, found, total, dict(by_provider), dict(by_cause), dict(by_model), by_day, fees_by_day, texts
    )


@dataclass(frozen=True, slots=True)
class Mine:
    """What one user's tickers cost him, and what they would have cost him alone."""

    total: Amount
    tickers: dict[str, Amount]


def of_user(found: Report, user_id: object) -> Mine:
    name = str(user_id)
    tickers = {
        symbol: amount for (user, symbol), amount in found.attribution.user_tickers.items() if user == name
    }
    return Mine(found.attribution.users.get(name, Amount()), tickers)


def used_lately(now: datetime, seconds: int) -> Counter[str]:
    """Calls of each provider within the last so many seconds."""
    rows = ProviderCall.objects.filter(at__gt=now - timedelta(seconds=seconds), at__lte=now)
    return Counter(rows.values_list("provider", flat=True))
