"""What was bought of language models within a window: by model with its tokens, and by ticker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Sum

from dashboard.costs import NO_TICKER, share
from marketdata.pricing import Book, cost_of_tokens
from summaries.kinds import Outcome
from summaries.models import Analysis, EarningsSummary, ModelCall, Summary
from summaries.spending import tokens_of

ROWS_AT_ONCE = 2_000


@dataclass
class TextPart:
    """What one model was asked. `cost` in parts of a dollar; tokens as they are billed."""

    vendor: str
    model: str
    calls: int = 0
    unpriced: int = 0
    asked: int = 0
    answered: int = 0
    input: int = 0
    """The cached ones included."""
    cached: int = 0
    output: int = 0
    cost: int = 0


@dataclass
class TickerPart:
    """What was bought about one ticker: an equal share of each call that was about it."""

    calls: int = 0
    cost: int = 0


@dataclass
class TextLedger:
    """`models` by vendor and name. The costs of both add up to the same."""

    models: dict[str, TextPart] = field(default_factory=dict)
    tickers: dict[str, TickerPart] = field(default_factory=dict)

    def add(self, call: ModelCall, cost: int, *, is_priced: bool) -> None:
        part = self.models.setdefault(f"{call.vendor} {call.model}", TextPart(call.vendor, call.model))
        part.calls += 1
        part.unpriced += not is_priced
        part.asked += call.asked
        part.answered += call.answered
        part.input += call.input_tokens
        part.cached += call.cached_tokens
        part.output += call.output_tokens
        part.cost += cost
        symbols = call.symbols or [NO_TICKER]
        for position, symbol in enumerate(symbols):
            ticker = self.tickers.setdefault(symbol, TickerPart())
            ticker.calls += 1
            ticker.cost += share(cost, position, len(symbols))


def text_calls(start: datetime, end: datetime, book: Book) -> Iterator[tuple[ModelCall, int | None]]:
    """Each call that has ended, with its cost in femto-dollars; None where the book knows no price for it.

    One that was lost may have been billed: it costs the most that it can have used.
    """
    rows = (
        ModelCall.objects.filter(at__gte=start, at__lt=end).exclude(outcome=Outcome.OPEN).order_by("at", "pk")
    )
    for call in rows.iterator(ROWS_AT_ONCE):
        yield call, cost_of_tokens(tokens_of(call), book)


def grounding(start: datetime, end: datetime) -> dict[str, tuple[int, int]]:
    """(claims, those that are grounded) of the texts that were written in the window, by model."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for kind in (Summary, EarningsSummary, Analysis):
        rows = kind.objects.filter(created_at__gte=start, created_at__lt=end).order_by()
        for model, claims, grounded in rows.values_list("model").annotate(Sum("claims"), Sum("grounded")):
            before = found[model]
            found[model] = (before[0] + claims, before[1] + grounded)
    return dict(found)
