"""What the administration's lists of alerts share: search by a symbol or a person, links to both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from accounts.models import User
from core.admin import EstimatingPaginator, ReadOnlyAdmin
from marketdata.admin import link_to
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical

M = TypeVar("M", bound=Model)

# A search that finds more people than this is too short to mean somebody.
MOST_PEOPLE = 500


class Term(NamedTuple):
    """What was searched for, as ids that were found first: an OR over joined tables would read them in full."""

    text: str
    people: Sequence[UUID]
    symbol: str | None
    tickers: Sequence[int]


def term_of(text: str) -> Term:
    lowered = text.strip().lower()
    people = User.objects.filter(email__startswith=lowered) | User.objects.filter(
        username__istartswith=lowered
    )
    try:
        symbol = canonical(text)
    except InvalidSymbol:
        symbol = None
    tickers = Ticker.objects.filter(symbol=symbol).values_list("pk", flat=True) if symbol else ()
    ids = list(people.values_list("pk", flat=True)[:MOST_PEOPLE])
    return Term(text.strip(), ids, symbol, list(tickers))


class Searched(ReadOnlyAdmin[M]):
    """A big table, found by the beginning of an address or of a name, or by a symbol in any spelling."""

    paginator = EstimatingPaginator
    search_fields = ["pk"]
    search_help_text = "A symbol, or the beginning of an e-mail address or of a user name"

    def found(self, term: Term) -> Q:
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        return (queryset.filter(self.found(term_of(search_term))) if search_term else queryset), False


def person_link(user: User) -> str:
    return link_to("accounts_user_change", user.email, user.pk)


def ticker_link(ticker: Ticker) -> str:
    return link_to("marketdata_ticker_change", ticker.symbol, ticker.pk)


def moment_text(moment: datetime | None) -> str:
    """To the millisecond."""
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"


def delay_text(before: datetime | None, after: datetime | None) -> str:
    if before is None or after is None:
        return "–"
    seconds = (after - before).total_seconds()
    return f"{seconds * 1000:,.1f} ms" if abs(seconds) < 1 else f"{seconds:,.2f} s"


def counted_by(rows: Any) -> str:
    """ "2 sent, 1 given up"."""
    return ", ".join(f"{number} {name.lower()}" for name, number in rows) or "–"
