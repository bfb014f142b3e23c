"""Tickers in the style of each persona: what is known of them now, and what is wanted of a model.

A card is one analysis: its score, criteria, inputs and text belong together. Which one is shown follows from the hash
of the inputs (see `inputs`):

1. A stored analysis not older than `FRESH_FOR` whose figures are those of now, and whose price has not moved by more
   than 2 % since, is kept as it is. So a price at the border between two steps of the grid flips nothing, and two who
   look within half an hour see the same.
2. Otherwise the inputs are gathered anew and hashed. What a model wrote for that hash is shown again, however old:
   it costs nothing. What it lacks, the figures of now say themselves.
3. `refresh` stores the analysis that is seen, and wants a model's words where the hash has none. An unchanged hash is
   renewed: the row takes the figures of now, and nothing is bought.

`look` writes nothing, asks no provider and no model, and takes a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from core import clock, metrics
from marketdata import demand, fundamentals, lookup
from marketdata.freshness import provider_named
from marketdata.models import Ticker
from marketdata.quotes import Quote
from marketdata.quoting import Outcome
from summaries import inputs, modelbook, orders, personas, texts
from summaries.inputs import Input, Known, Stored
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Persona, Task
from summaries.llm.base import Item
from summaries.measures import Case, Estimate, estimate_of
from summaries.models import Analysis, Order
from summaries.personas import LABELS, Aggregate, Criterion, Verdict
from summaries.ratios import Ratio, ratios_of

__all__ = ["LABELS", "Aggregate", "Card", "Criterion", "Input", "Look", "Text"]

FRESH_FOR = timedelta(minutes=30)
RELOAD_AFTER = timedelta(days=1)
# Of the way in which sentences are made of figures; no prompt.
VERSION = "1"
# One refresh of a ticker at a time: this and the ticker's id are the key of an advisory lock.
LOCK = 0x4F54
OVERNIGHT_MOST = 200


@dataclass(frozen=True, slots=True)
class Text:
    """What a model wrote of earlier inputs."""

    sentences: list[str]
    model: str
    created_at: datetime
    score: int
    is_generated: bool = True
    is_older: bool = True


@dataclass(frozen=True, slots=True)
class Card:
    """One persona. Without a score too little is known, and the one sentence says what is missing."""

    persona: Persona
    label: str
    score: int | None
    criteria: tuple[Criterion, ...]
    sentences: list[str]
    model: str
    created_at: datetime
    inputs: tuple[Input, ...]
    inputs_hash: str = ""
    order_state: str | None = None
    """Of what was last wanted of a model for these inputs."""
    older: Text | None = None
    """The newest that a model wrote of this ticker before, where it wrote nothing of these inputs yet."""
    is_locked: bool = False
    is_older: bool = False
    """`sentences` are of these inputs; what is of earlier ones is `older`."""

    @property
    def is_generated(self) -> bool:
        return self.model != EXTRACTIVE


@dataclass(frozen=True, slots=True)
class Look:
    ticker: Ticker
    cards: list[Card]
    aggregate: Aggregate | None
    reason: str = ""
    """Why there are no cards: "no_fundamentals", "no_price", or "other_currency" of figures and price."""
    simulated: bool = False
    """Figures or price are made up."""
    ratios: tuple[Ratio, ...] = ()
    estimate: Estimate | None = None
    """The discounted value, with what was assumed for it; of the figures of now."""


def look(ticker: Ticker, wanted: Sequence[Persona], now: datetime) -> Look:
    """What is known of a ticker in these styles; see the head of this module."""
    found = _gather([ticker])[ticker.symbol]
    known = found.known
    if known is None:
        return Look(ticker, [], None, found.reason, found.simulated)
    seen = _see(ticker, wanted, known, now)
    cards = _cards(ticker, seen, now)
    return Look(
        ticker=ticker,
        cards=cards,
        aggregate=personas.aggregate({one.persona: one.score for one in cards if one.score is not None}),
        simulated=found.simulated,
        ratios=ratios_of(Case(known.figures, known.price)),
        estimate=estimate_of(known.figures),
    )


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What is stored of one ticker, or why nothing can be made of it."""

    known: Known | None
    reason: str
    simulated: bool
    told_at: datetime | None
    """When the figures were loaded."""


def _gather(tickers: Sequence[Ticker]) -> dict[str, _Gathered]:
    """By symbol, in as many queries for all of them as for one."""
    symbols = [ticker.symbol for ticker in tickers]
    told, quotes = fundamentals.of(symbols), lookup.stored_quotes(symbols)
    return {one.symbol: _joined(one, told.get(one.symbol), quotes[one.symbol]) for one in tickers}


def _joined(ticker: Ticker, held: fundamentals.Known | None, quote: Outcome) -> _Gathered:
    if held is None:
        return _Gathered(None, "no_fundamentals", _is_made_up(quote), None)
    simulated = held.simulated or _is_made_up(quote)
    if not isinstance(quote, Quote) or quote.price <= 0:
        return _Gathered(None, "no_price", simulated, held.loaded_at)
    if held.figures.currency != ticker.currency:
        return _Gathered(None, "other_currency", simulated, held.loaded_at)
    known = Known(held.figures, held.provider, quote.price, quote.as_of, quote.provider)
    return _Gathered(known, "", simulated, held.loaded_at)


def _is_made_up(quote: Outcome) -> bool:
    if not isinstance(quote, Quote):
        return False
    provider = provider_named(quote.provider)
    return quote.replay_date is not None or (provider is not None and provider.capabilities.simulated)


# --- Which analysis is seen


@dataclass(frozen=True, slots=True)
class _Seen:
    """One persona's analysis of now, and the stored one that stands for it."""

    verdict: Verdict
    inputs: dict[str, Stored]
    inputs_hash: str
    is_kept: bool
    """A stored analysis is fresh and alike: what is shown is not made anew."""

    @property
    def persona(self) -> Persona:
        return self.verdict.persona


def _see(ticker: Ticker, wanted: Sequence[Persona], known: Known, now: datetime) -> list[_Seen]:
    fresh = Analysis.objects.filter(
        ticker=ticker, persona__in=wanted, model=EXTRACTIVE, created_at__gt=now - FRESH_FOR
    )
    rows = list(fresh.order_by("-created_at", "-id"))
    return [_see_one(persona, known, rows) for persona in wanted]


def _see_one(persona: Persona, known: Known, rows: Iterable[Analysis]) -> _Seen:
    gathered = inputs.stored(persona, known)
    alike = (
        row.inputs_hash
        for row in rows
        if row.persona == persona.value and inputs.are_alike(row.inputs, gathered)
    )
    kept = next(alike, "")
    verdict = personas.judge(persona, Case(known.figures, known.price))
    return _Seen(verdict, gathered, kept or inputs.hash_of(persona, known), bool(kept))


def _cards(ticker: Ticker, seen: Sequence[_Seen], now: datetime) -> list[Card]:
    hashes = {one.persona: one.inputs_hash for one in seen}
    best = texts.best_analyses(ticker.pk, hashes)
    older = _older(ticker, [one for one in hashes if one not in best or best[one].is_extractive])
    states = _states(ticker, hashes)
    return [
        _card(ticker, one, best.get(one.persona), now, older.get(one.persona), states.get(one.inputs_hash))
        for one in seen
    ]


def _card(
    ticker: Ticker, one: _Seen, row: Analysis | None, now: datetime, older: Text | None, state: str | None
) -> Card:
    if row is None or (row.is_extractive and not one.is_kept):
        row = _row(ticker, one, now)
    return Card(
        persona=one.persona,
        label=LABELS[one.persona],
        score=row.score,
        criteria=_criteria(row),
        sentences=row.sentences,
        model=row.model,
        created_at=row.created_at,
        inputs=inputs.shown(row.inputs),
        inputs_hash=one.inputs_hash,
        order_state=state,
        older=older,
    )


def _row(ticker: Ticker, one: _Seen, now: datetime) -> Analysis:
    """The figures of now as a row, not stored; its score may be None."""
    return Analysis(
        ticker=ticker, persona=one.persona.value, inputs_hash=one.inputs_hash, model=EXTRACTIVE,
        prompt_version=VERSION, **_figures(ticker, one, now),
    )  # fmt: skip


def _figures(ticker: Ticker, one: _Seen, now: datetime) -> dict[str, Any]:
    return {
        "inputs": one.inputs,
        "score": one.verdict.score,
        "criteria": [asdict(criterion) for criterion in one.verdict.criteria],
        "sentences": personas.sentences(one.verdict, ticker.symbol),
        "created_at": now,
    }


def _criteria(row: Analysis) -> tuple[Criterion, ...]:
    """What another version kept besides is passed over."""
    return tuple(
        Criterion(**{name: value for name, value in one.items() if name in _CRITERION})
        for one in row.criteria
    )


_CRITERION = frozenset(field.name for field in fields(Criterion))


def _older(ticker: Ticker, wanted: Sequence[Persona]) -> dict[Persona, Text]:
    """The newest text of a model, of whatever inputs, in one query."""
    if not wanted:
        return {}
    rows = Analysis.objects.filter(ticker=ticker, persona__in=wanted).exclude(model=EXTRACTIVE)
    return {
        Persona(row.persona): Text(row.sentences, row.model, row.created_at, row.score)
        for row in rows.order_by("persona", "-created_at", "-id").distinct("persona")
    }


def _states(ticker: Ticker, hashes: dict[Persona, str]) -> dict[str, str]:
    """The state of the newest order by the hash of its inputs."""
    rows = Order.objects.filter(analysis__ticker=ticker, analysis__inputs_hash__in=hashes.values())
    return dict(rows.order_by("created_at", "id").values_list("analysis__inputs_hash", "state"))


# --- Wanting


def refresh(ticker: Ticker, wanted: Sequence[Persona], *, lane: Lane, tier: str) -> list[Order]:
    """Store the analyses that are seen now, and want a model's words for them.

    However many ask at once, there is one row and one order for each hash. Figures older than a day are asked for, and
    not waited for.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, ticker.pk])
        now = clock.now()
        found = _gather([ticker])[ticker.symbol]
        if found.told_at is None or now - found.told_at > RELOAD_AFTER:
            transaction.on_commit(lambda: fundamentals.ask_for([ticker.symbol]))
        if found.known is None:
            return []
        seen = _see(ticker, wanted, found.known, now)
        rows = [_keep(ticker, one, now) for one in seen if one.verdict.score is not None]
        ordered = [orders.want_analysis(row, lane=lane, tier=tier) for row in rows]
    return [order for order in ordered if order is not None]


def _keep(ticker: Ticker, one: _Seen, now: datetime) -> Analysis:
    row, is_new = Analysis.objects.get_or_create(
        ticker=ticker, persona=one.persona.value, inputs_hash=one.inputs_hash, model=EXTRACTIVE,
        prompt_version=VERSION, defaults=_figures(ticker, one, now),
    )  # fmt: skip
    if is_new:
        metrics.summaries_made.labels(task=Task.ANALYSIS.value, by=EXTRACTIVE).inc()
    elif not one.is_kept:
        _renew(row, ticker, one, now)
    return row


def _renew(row: Analysis, ticker: Ticker, one: _Seen, now: datetime) -> None:
    """The same inputs gathered anew. What a model is just explaining stays as it was asked."""
    if Order.objects.filter(analysis=row, state=OrderState.RUNNING).exists():
        return
    for name, value in _figures(ticker, one, now).items():
        setattr(row, name, value)
    row.save(update_fields=["inputs", "score", "criteria", "sentences", "created_at"])


def item_of(analysis: Analysis) -> Item:
    """What a model is asked to explain: sentences that we computed, and each figure as it is to be written."""
    ticker, persona = analysis.ticker, Persona(analysis.persona)
    facts = {"score": f"{analysis.score} of 100"}
    for one in _criteria(analysis):
        facts[one.name] = f"{one.figure} ({one.points} of {one.of} points: {one.rule})"
    for told in inputs.shown(analysis.inputs):
        facts[f"Input: {told.name}"] = f"{told.value} as of {told.as_of:%Y-%m-%d}"
    said = [*analysis.sentences, *(one["text"] for one in analysis.criteria)]
    return Item(
        id=f"analysis-{analysis.pk}",
        title=f"{ticker.name} ({ticker.symbol}): {LABELS[persona]}",
        text=" ".join(dict.fromkeys(said)),
        symbols=(ticker.symbol,),
        facts=facts,
    )


# --- Overnight


def want_overnight(
    now: datetime, limit: int = OVERNIGHT_MOST, wanted: Sequence[Persona] = (Persona.BASIC,)
) -> int:
    """Order words for what has changed since a model last wrote of it, the most wanted tickers first.

    How many orders are new, at most about `limit`. Nothing is bought for figures that are made up.
    """
    if not modelbook.wanted_model():
        return 0
    held = sorted(demand.wanted().values(), key=lambda one: (-one.holders, one.symbol))
    tickers = Ticker.objects.in_bulk([one.ticker_id for one in held])
    new = 0
    for ticker in _changed([tickers[one.ticker_id] for one in held if one.ticker_id in tickers], wanted):
        if new >= limit:
            break
        found = refresh(ticker, wanted, lane=Lane.OVERNIGHT, tier="")
        new += sum(order.created_at >= now for order in found)
    return new


def _changed(tickers: Sequence[Ticker], wanted: Sequence[Persona]) -> Iterable[Ticker]:
    """Those of which something is known that no model has written of, in the same order; three queries for all."""
    gathered, written = _gather(tickers), _newest_written(tickers, wanted)
    for ticker in tickers:
        found = gathered[ticker.symbol]
        if found.known is None or found.simulated:
            continue
        now = {persona: inputs.stored(persona, found.known) for persona in wanted}
        before = {persona: written.get((ticker.pk, persona.value), {}) for persona in wanted}
        if not all(inputs.are_alike(before[persona], now[persona]) for persona in wanted):
            yield ticker


def _newest_written(
    tickers: Sequence[Ticker], wanted: Sequence[Persona]
) -> dict[tuple[int, str], dict[str, Stored]]:
    """The inputs of what a model wrote last."""
    rows = Analysis.objects.filter(ticker__in=tickers, persona__in=wanted).exclude(model=EXTRACTIVE)
    newest = rows.order_by("ticker_id", "persona", "-created_at", "-id").distinct("ticker_id", "persona")
    return {(row.ticker_id, row.persona): row.inputs for row in newest}
