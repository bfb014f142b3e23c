"""What language models cost, for the page of costs: each model with its tokens and how true it was, each ticker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from dashboard import formats
from dashboard.cost_rows import NANO, decimals_of, percent, usd
from dashboard.costs import rounded
from dashboard.ledger import Report
from dashboard.text_ledger import TextPart, grounding

SHOWN = 10


@dataclass(frozen=True, slots=True)
class ModelCells:
    """One model as it is written. Items are articles, calls and analyses that it was asked about."""

    name: str
    vendor: str
    calls: str
    unpriced: str
    tokens_in: str
    cached: str
    tokens_out: str
    items: str
    cost: str
    each: str
    grounded: str


@dataclass(frozen=True, slots=True)
class TickerCells:
    """What was bought about one ticker; without a name: about none that we know."""

    symbol: str
    calls: str
    cost: str


@dataclass(frozen=True, slots=True)
class TextCosts:
    """Two tables, each adding up to what language models cost."""

    models: list[ModelCells]
    tickers: list[TickerCells]
    number_of_tickers: int

    @classmethod
    def of(cls, report: Report, *, everything: bool) -> TextCosts:
        tickers = _tickers(report)
        shown = tickers if everything else tickers[:SHOWN]
        return cls(_models(report), shown, len(tickers))


def _models(report: Report) -> list[ModelCells]:
    parts = report.texts.models
    costs = _nano({key: part.cost for key, part in parts.items()})
    each = {key: _each(part, costs[key]) for key, part in parts.items()}
    decimals = decimals_of([usd(nano) for nano in costs.values()])
    each_decimals = decimals_of([value for value in each.values() if value is not None])
    checked = grounding(report.window.start, report.window.end) if parts else {}
    return [
        _cells(
            parts[key],
            cost=formats.price(usd(costs[key]), decimals),
            each=formats.price(each[key], each_decimals),
            grounded=_grounded(*checked.get(parts[key].model, (0, 0))),
        )
        for key in sorted(parts, key=lambda one: (-costs[one], one))
    ]


def _cells(part: TextPart, *, cost: str, each: str, grounded: str) -> ModelCells:
    return ModelCells(
        name=part.model,
        vendor=part.vendor,
        calls=f"{part.calls:,}",
        unpriced=f"{part.unpriced:,}" if part.unpriced else "",
        tokens_in=f"{part.input - part.cached:,}",
        cached=f"{part.cached:,}",
        tokens_out=f"{part.output:,}",
        items=f"{part.answered:,} of {part.asked:,}",
        cost=cost,
        each=each,
        grounded=grounded,
    )


def _each(part: TextPart, nano: int) -> Decimal | None:
    """Of one that could be used: those that could not are paid for by these."""
    return usd(nano) / part.answered if part.answered else None


def _grounded(claims: int, grounded: int) -> str:
    share = percent(Decimal(100 * grounded) / claims) if claims else None
    return formats.NOTHING if share is None else f"{share}{formats.THIN}%"


def _tickers(report: Report) -> list[TickerCells]:
    parts = report.texts.tickers
    costs = _nano({symbol: part.cost for symbol, part in parts.items()})
    decimals = decimals_of([usd(nano) for nano in costs.values()])
    return [
        TickerCells(symbol, f"{parts[symbol].calls:,}", formats.price(usd(nano), decimals))
        for symbol, nano in sorted(costs.items(), key=lambda one: (-one[1], one[0]))
    ]


def _nano(amounts: Mapping[str, int]) -> dict[str, int]:
    """In nano-dollars that add up to the whole."""
    return rounded(amounts, NANO, sum(amounts.values()))
