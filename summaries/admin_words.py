"""What the administration's pages of texts share: plain text as paragraphs and lists, rates, money, ages, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core import clock
from core.admin import EstimatingPaginator, ReadOnlyAdmin
from marketdata.admin import link_to
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.pricing import FEMTO
from marketdata.symbols import canonical
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Outcome, Task
from summaries.models import ModelEntry, Order

M = TypeVar("M", bound=Model)
NONE = "–"
# What an address of an article may begin with; anything else is shown as text and leads nowhere.
WEB = ("https://", "http://")


class FoundBySymbol(ReadOnlyAdmin[M]):
    """A big table, found by a symbol in any spelling; a page may find by other words as well."""

    paginator = EstimatingPaginator
    search_fields = ["pk"]
    search_help_text = "A symbol, in any spelling"

    def of_symbol(self, symbol: str) -> Q:
        raise NotImplementedError

    def of_words(self, text: str) -> Q:
        return Q(pk__in=[])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        text = search_term.replace("\0", "").strip()
        if not text:
            return queryset, False
        try:
            by_symbol = self.of_symbol(canonical(text))
        except InvalidSymbol:
            by_symbol = Q(pk__in=[])
        return queryset.filter(by_symbol | self.of_words(text)), False


class WrittenBy(admin.SimpleListFilter):
    """By the models that we know of; the big table is not asked which there are."""

    title = "model"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = {settings.LLM_MODEL, *ModelEntry.objects.values_list("name", flat=True)}
        return [(EXTRACTIVE, "None: extractive"), *((name, name) for name in sorted(known))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(model=self.value()) if self.value() else queryset


def choices(title: str, field: str, members: type[Task | Lane | Outcome | OrderState]) -> type[Any]:
    """A filter by the words of an enumeration."""

    class OneOf(admin.SimpleListFilter):
        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(one.value, one.value.replace("_", " ").capitalize()) for one in members]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    OneOf.title = title
    OneOf.parameter_name = field
    return OneOf


def paragraphs(texts: Iterable[str]) -> str:
    """Plain text, whatever is in it."""
    return format_html_join("", "<p>{}</p>", ((text,) for text in texts if text.strip())) or NONE


def points(texts: Iterable[str]) -> str:
    lines = format_html_join("", "<li>{}</li>", ((text,) for text in texts))
    return format_html("<ul>{}</ul>", lines) if lines else NONE


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Of plain text and links; a dash without rows."""
    lines = [
        format_html("<tr>{}</tr>", format_html_join("", "<td>{}</td>", ((v,) for v in row))) for row in rows
    ]
    if not lines:
        return NONE
    head = format_html_join("", "<th>{}</th>", ((name,) for name in heads))
    body = format_html_join("", "{}", ((line,) for line in lines))
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


def source_link(url: str, text: str = "") -> str:
    """Only into the web; the page that it leads to does not learn where from."""
    if not url:
        return NONE
    if not url.lower().startswith(WEB):
        return url
    return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, text or url)


def listed(links: Iterable[object]) -> str:
    return format_html_join(", ", "{}", ((link,) for link in links)) or NONE


def ticker_link(ticker: Ticker) -> str:
    return link_to("marketdata_ticker_change", ticker.symbol, ticker.pk)


def short(text: str, most: int = 70) -> str:
    """So much of a long line as a list has room for."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def time_column(field: str, description: str) -> Any:
    """Of a list: to the minute, in UTC, in as little room as it takes."""

    @admin.display(description=description, ordering=field)
    def column(row: Model) -> str:
        moment: datetime | None = getattr(row, field)
        return NONE if moment is None else f"{moment:%Y-%m-%d %H:%M}"

    return column


def percent(part: int | None, of: int | None) -> str:
    """ "98.5 % of 200"; a dash where there is nothing to speak of."""
    if not of:
        return NONE
    return f"{Decimal(100 * (part or 0)) / of:.1f} % of {of:,}"


def usd(femto: Decimal | int | None, places: int = 6) -> str:
    """Whole femto-dollars as dollars."""
    return f"${Decimal(femto or 0) / FEMTO:,.{places}f}"


def age(since: datetime | None, until: datetime | None = None) -> str:
    """In the biggest unit that says something: 40 s, 12 min, 5.2 h, 3.1 d."""
    if since is None:
        return NONE
    seconds = ((until or clock.now()) - since).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(seconds, 0):.0f} s"


def order_words(order: Order) -> SafeString | str:
    """How it stands, leading to it."""
    words = order.state if not order.failures else f"{order.state}, {order.failures} failed"
    return link_to("summaries_order_change", words, order.pk)


def texts_of(rows: Iterable[Any], page: str) -> str:
    """The texts of one thing, by who wrote each and when, leading to them; the newest first."""
    return table(
        ("Written by", "On", "Grounded", "Left out"),
        (
            (
                link_to(page, row.model, row.pk),
                f"{row.created_at:%Y-%m-%d %H:%M} UTC",
                percent(row.grounded, row.claims),
                row.dropped,
            )
            for row in rows
        ),
    )


def orders_of(rows: Iterable[Order]) -> str:
    return table(
        ("State", "Lane", "Waits since", "Last error"),
        (
            (order_words(row), row.lane, f"{row.created_at:%Y-%m-%d %H:%M} UTC", row.last_error)
            for row in rows
        ),
    )
