"""Articles and earnings calls: what is known of each, what was made of it, and what still waits to be.

A person may withdraw what should not be shown, and have something written anew; nothing is edited by hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest

from marketdata.models import Ticker
from summaries import orders
from summaries.admin_words import (
    NONE,
    FoundBySymbol,
    listed,
    order_words,
    orders_of,
    paragraphs,
    short,
    source_link,
    texts_of,
    ticker_link,
    time_column,
)
from summaries.kinds import EXTRACTIVE, OrderState
from summaries.models import Article, EarningsSummary, Order, Summary, Transcript

PENDING = (OrderState.QUEUED.value, OrderState.RUNNING.value)


class WithWork(ChangeList):
    """Asks once per page who wrote of its rows, and once which orders there are of them."""

    texts: ClassVar[type[Summary | EarningsSummary]]
    field: ClassVar[str]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = self.result_list = list(self.result_list)
        ids = [row.pk for row in rows]
        writers: defaultdict[int, list[str]] = defaultdict(list)
        texts = self.texts.objects.filter(**{f"{self.field}__in": ids}).order_by("-created_at", "-pk")
        for pk, model in texts.values_list(self.field, "model"):
            writers[pk].append(model)
        wanted: defaultdict[int, list[Order]] = defaultdict(list)
        for order in Order.objects.filter(**{f"{self.field}__in": ids}).exclude(state=OrderState.DONE.value):
            wanted[getattr(order, f"{self.field}_id")].append(order)
        for row in rows:
            row.written_by, row.wanted = writers[row.pk], wanted[row.pk]


class ArticleList(WithWork):
    texts = Summary
    field = "article"


class TranscriptList(WithWork):
    texts = EarningsSummary
    field = "transcript"


class Written(admin.SimpleListFilter):
    """Whether a model wrote of it, and if not why."""

    title = "summary"
    parameter_name = "summary"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("model", "By a model"),
            ("extractive", "Extractive only"),
            ("none", "None"),
            ("waiting", "Waits for a model"),
            ("dead", "Given up"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        field = "article" if queryset.model is Article else "transcript"
        kind = Summary if queryset.model is Article else EarningsSummary
        texts = kind.objects.filter(**{field: OuterRef("pk")})
        wanted = Order.objects.filter(**{field: OuterRef("pk")})
        by_model = Exists(texts.exclude(model=EXTRACTIVE))
        conditions: dict[str, Any] = {
            "model": by_model,
            "extractive": ~by_model & Exists(texts),
            "none": ~Exists(texts),
            "waiting": Exists(wanted.filter(state__in=PENDING)),
            "dead": Exists(wanted.filter(state=OrderState.DEAD.value)),
        }
        condition = conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class WithTexts(FoundBySymbol[Any]):
    actions = ["write_anew"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"summaries.change_{self.opts.model_name}")

    def want(self, rows: Sequence[Any]) -> int:
        raise NotImplementedError

    @admin.action(description="Have a model write anew", permissions=["steer"])
    def write_anew(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """What a model wrote of these is deleted, so that nobody reads it meanwhile; the extractive stays."""
        with transaction.atomic():
            rows = list(queryset.order_by("pk"))
            forget_models_texts(rows)
            number = self.want(rows)
        if number:
            messages.success(request, f"{number} are wanted of a model.")
        else:
            messages.warning(request, "No model is configured, so that nothing is wanted of one.")

    @admin.display(description="Written by")
    def written(self, row: Any) -> str:
        return ", ".join(row.written_by) or NONE

    @admin.display(description="Wanted")
    def waits(self, row: Any) -> str:
        return listed(order_words(order) for order in row.wanted)


def forget_models_texts(rows: Sequence[Article] | Sequence[Transcript]) -> None:
    """With the orders that brought them, which would keep them from being bought once more."""
    if not rows:
        return
    kind, field = (Summary, "article") if isinstance(rows[0], Article) else (EarningsSummary, "transcript")
    of_these = {f"{field}__in": [row.pk for row in rows]}
    kind.objects.filter(**of_these).exclude(model=EXTRACTIVE).delete()
    Order.objects.filter(**of_these).exclude(state__in=PENDING).delete()


@admin.register(Article)
class ArticleAdmin(WithTexts):
    list_display = [
        "title", "symbols", time_column("published_at", "Published (UTC)"), "source", "written", "waits",
        "is_fictional", "provider",
    ]  # fmt: skip
    list_filter = [Written, "is_fictional", "provider", "published_at"]
    search_help_text = "A symbol, in any spelling, or words of the headline"
    actions = ["write_anew", "withdraw"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "headline",
                    "symbols",
                    "published_at",
                    "source",
                    "original",
                    "licence",
                    "is_fictional",
                ]
            },
        ),
        ("What was made of it", {"fields": ["texts", "orders"]}),
        ("Where it is from", {"fields": ["provider", "external_id", "loaded_at", "content_hash"]}),
        ("Text", {"fields": ["plain_text"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Article]:
        tickers = Prefetch("tickers", Ticker.objects.only("symbol"))
        return super().get_queryset(request).prefetch_related(tickers)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ArticleList

    def of_symbol(self, symbol: str) -> Q:
        return Q(pk__in=Article.objects.filter(tickers__symbol=symbol).values("pk"))

    def of_words(self, text: str) -> Q:
        return Q(headline__icontains=text)

    def want(self, rows: Sequence[Article]) -> int:
        return orders.want_summaries(rows)

    @admin.action(description="Withdraw: delete its text and all that was made of it", permissions=["steer"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Article]) -> None:
        """Headline and link stay, and it is not loaded again: its hash is known."""
        ids = list(queryset.values_list("pk", flat=True))
        with transaction.atomic():
            Order.objects.filter(article__in=ids).delete()
            Summary.objects.filter(article__in=ids).delete()
            Article.objects.filter(pk__in=ids).update(text="")
        messages.success(request, f"{len(ids)} withdrawn.")

    @admin.display(description="Headline", ordering="headline")
    def title(self, row: Article) -> str:
        return short(row.headline)

    @admin.display(description="Tickers")
    def symbols(self, row: Article) -> str:
        return listed(ticker_link(ticker) for ticker in row.tickers.all())

    @admin.display(description="Original")
    def original(self, row: Article) -> str:
        return source_link(row.url)

    @admin.display(description="Summaries")
    def texts(self, row: Article) -> str:
        return texts_of(row.summaries.all(), "summaries_summary_change")

    @admin.display(description="Orders")
    def orders(self, row: Article) -> str:
        return orders_of(Order.objects.filter(article=row))

    @admin.display(description="Text")
    def plain_text(self, row: Article) -> str:
        return paragraphs(row.text.split("\n"))


@admin.register(Transcript)
class TranscriptAdmin(WithTexts):
    list_display = [
        "title",
        "symbol",
        "year",
        "quarter",
        "held_on",
        "written",
        "waits",
        "is_fictional",
        "provider",
    ]
    list_filter = [Written, "is_fictional", "provider", "year", "quarter"]
    list_select_related = ["ticker"]
    fieldsets = [
        (None, {"fields": ["title", "symbol", "year", "quarter", "held_on", "is_fictional"]}),
        ("What was made of it", {"fields": ["texts", "orders"]}),
        ("Where it is from", {"fields": ["provider", "loaded_at", "content_hash"]}),
        ("What was said", {"fields": ["said"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transcript]:
        rows = super().get_queryset(request).select_related("ticker")
        return (
            rows
            if request.resolver_match and "object_id" in request.resolver_match.kwargs
            else rows.defer("speeches")
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TranscriptList

    def of_symbol(self, symbol: str) -> Q:
        return Q(ticker__symbol=symbol)

    def of_words(self, text: str) -> Q:
        return Q(title__icontains=text)

    def want(self, rows: Sequence[Transcript]) -> int:
        return sum(orders.want_earnings(row) is not None for row in rows)

    @admin.display(description="Ticker", ordering="ticker_id")
    def symbol(self, row: Transcript) -> str:
        return ticker_link(row.ticker)

    @admin.display(description="Summaries")
    def texts(self, row: Transcript) -> str:
        return texts_of(row.summaries.all(), "summaries_earningssummary_change")

    @admin.display(description="Orders")
    def orders(self, row: Transcript) -> str:
        return orders_of(Order.objects.filter(transcript=row))

    @admin.display(description="Speeches")
    def said(self, row: Transcript) -> str:
        return paragraphs(_lines(row.speeches))


def _lines(speeches: Iterable[dict[str, Any]]) -> Iterable[str]:
    for speech in speeches:
        who = ", ".join(filter(None, (speech.get("speaker"), speech.get("role"))))
        yield f"{who}: {speech.get('text', '')}"
