"""A model that is only named, its prices, and questions: for what is about money and not about texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from marketdata.models import Price
from summaries.kinds import Lane, Task
from summaries.llm import registry
from summaries.llm.base import Answer, Item, Question, Usage
from summaries.models import ModelEntry
from summaries.spending import Reservation, reserve

MOST = Usage(input=1000, output=1000)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FEMTO = 10**15


@dataclass
class NamedModel:
    """Says what it can use at most; nobody asks it."""

    name: str
    vendor: str = "openai"
    most_usage: Usage = MOST

    def most(self, question: Question) -> Usage:
        return self.most_usage

    def ask(self, question: Question, *, timeout_s: float) -> Answer:
        raise AssertionError("nobody is to be asked")


@contextmanager
def models(*names: str, **fields) -> Iterator[list[NamedModel]]:
    found = [NamedModel(name, **fields) for name in names]
    with registry.override(*found):
        yield found


def make_entry(name: str, **fields) -> ModelEntry:
    return ModelEntry.objects.create(name=name, **fields)


def make_prices(
    model: str, usd_in: str = "1", usd_out: str = "1", usd_cached: str | None = None, **fields
) -> None:
    """For a thousand tokens."""
    amounts = {"ktoken_in": usd_in, "ktoken_out": usd_out, "ktoken_cached": usd_cached}
    for unit, usd in amounts.items():
        if usd is not None:
            Price.objects.create(
                unit=unit,
                usd=Decimal(usd),
                **{"provider": "openai", "plan": model, "valid_from": LONG_AGO, **fields},
            )


def make_question(*ids: str) -> Question:
    items = tuple(Item(id=id_, text="Words.") for id_ in ids or ("1",))
    return Question(Task.SUMMARY, items, prompt_version="summary-1")


def reserved(lane: Lane = Lane.MINUTES, tier: str = "", *, is_renewal: bool = False) -> Reservation:
    return reserve(make_question(), lane=lane, tier=tier, is_renewal=is_renewal, symbols=["AAPL"])
