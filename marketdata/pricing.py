"""What calls cost: units times the price that was valid when the call was made. Nothing of it is stored.

Amounts are whole femto-dollars (1e-15 US dollar): the book has nine decimals and units have six, so that every
product is exact and sums are. A call that no line of the book fits is unpriced: None, never nought.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from marketdata.providers.base import Unit

FEMTO = 10**15
_NANO = 10**9
_INSTANT = timedelta(microseconds=1)


class Bought(Protocol):
    """What a price is looked up by: a row of the ledger, or a call that was just made."""

    @property
    def at(self) -> datetime: ...
    @property
    def provider(self) -> str: ...
    @property
    def plan(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def units(self) -> Decimal: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the price book; empty `plan` and `endpoint` mean every one."""

    provider: str
    unit: str
    usd: Decimal
    valid_from: datetime
    valid_to: datetime | None = None
    plan: str = ""
    endpoint: str = ""

    def is_valid(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


class Book:
    """The lines, found quickly."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = tuple(lines)
        self._by_key: dict[tuple[str, str, str, str], list[Line]] = defaultdict(list)
        for line in self.lines:
            self._by_key[line.provider, line.plan, line.endpoint, line.unit].append(line)
        self._fitting: dict[tuple[str, str, str, str], Sequence[Line]] = {}

    def line_of(self, call: Bought) -> Line | None:
        """The most special line that is valid: of plan and endpoint, of the plan, of the endpoint, of the provider."""
        key = (call.provider, call.plan, call.endpoint, call.unit)
        fitting = self._fitting.get(key)
        if fitting is None:
            fitting = self._fitting[key] = tuple(self._special_first(*key))
        return next((line for line in fitting if line.is_valid(call.at)), None)

    def fees(self) -> list[Line]:
        """The lines per month: each is a bill of its own while it is valid."""
        return [line for line in self.lines if line.unit == Unit.MONTH.value]

    def _special_first(self, provider: str, plan: str, endpoint: str, unit: str) -> Iterator[Line]:
        for key in dict.fromkeys([(plan, endpoint), (plan, ""), ("", endpoint), ("", "")]):
            yield from self._by_key.get((provider, *key, unit), ())


def priced(calls: Iterable[Bought], book: Book) -> Iterator[int | None]:
    """The cost of each call in femto-dollars, in their order; None where the book knows no price."""
    for call in calls:
        line = book.line_of(call)
        yield None if line is None else cost_of(call.units, line.usd)


def cost_of(units: Decimal, usd: Decimal) -> int:
    return int(units.scaleb(6)) * int(usd.scaleb(9))


@dataclass(frozen=True, slots=True)
class TokenCall:
    """One call of a language model, as it is billed: three units, each with a price of its own."""

    at: datetime
    provider: str
    model: str
    """Stands as the plan in the book."""
    endpoint: str
    input: int
    """The cached ones included."""
    cached: int
    output: int

    def pieces(self) -> Iterator[TokenPiece]:
        yield TokenPiece(self, Unit.INPUT, self.input - self.cached)
        yield TokenPiece(self, Unit.CACHED, self.cached)
        yield TokenPiece(self, Unit.OUTPUT, self.output)


class TokenPiece:
    """The tokens of one kind: a purchase by itself."""

    def __init__(self, call: TokenCall, unit: Unit, tokens: int) -> None:
        self.at, self.provider, self.plan, self.endpoint = call.at, call.provider, call.model, call.endpoint
        self.unit = unit.value
        self.tokens = tokens

    @property
    def units(self) -> Decimal:
        return Decimal(self.tokens).scaleb(-3)


def cost_of_tokens(call: TokenCall, book: Book) -> int | None:
    """In femto-dollars; None where the book has no price for something of it that was used."""
    costs = [_cost_of_piece(piece, call, book) for piece in call.pieces() if piece.tokens]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _cost_of_piece(piece: TokenPiece, call: TokenCall, book: Book) -> int | None:
    line = book.line_of(piece)
    if line is None and piece.unit == Unit.CACHED.value:
        # Whoever gives no discount on what lies in his cache bills it as what it is.
        line = book.line_of(TokenPiece(call, Unit.INPUT, piece.tokens))
    return None if line is None else cost_of(piece.units, line.usd)


def most_of_tokens(call: TokenCall, book: Book) -> int | None:
    """What so many tokens cost at most, whatever part of them is in the vendor's cache; None without a price."""
    both = (replace(call, cached=0), replace(call, cached=call.input))
    costs = [cost for one in both if (cost := cost_of_tokens(one, book)) is not None]
    return max(costs) if len(costs) == len(both) else None


def fees_of(book: Book, start: datetime, end: datetime) -> dict[str, int]:
    """What the monthly lines of each provider cost from start to end, in femto-dollars; only what costs something."""
    total: dict[str, Fraction] = defaultdict(Fraction)
    for line in book.fees():
        first = max(start, line.valid_from)
        last = end if line.valid_to is None else min(end, line.valid_to)
        total[line.provider] += months_between(first, last) * int(line.usd.scaleb(9)) * (FEMTO // _NANO)
    return {provider: amount for provider, exact in total.items() if (amount := round(exact))}


def months_between(start: datetime, end: datetime) -> Fraction:
    """How many months lie between, each calendar month (UTC) counted by the part of its own length."""
    found = Fraction()
    here, end = start.astimezone(UTC), end.astimezone(UTC)
    while here < end:
        month, following = _month_around(here)
        until = min(end, following)
        found += Fraction((until - here) // _INSTANT, (following - month) // _INSTANT)
        here = until
    return found


def _month_around(moment: datetime) -> tuple[datetime, datetime]:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, first + timedelta(days=calendar.monthrange(first.year, first.month)[1])
