"""Texts that were not written by a person: what they say, who wrote them, and how well they are grounded.

Looked at only: what is wrong with one is put right where it comes from, by having it written anew.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest

from marketdata.admin import link_to
from summaries.admin_words import (
    NONE,
    FoundBySymbol,
    WrittenBy,
    paragraphs,
    percent,
    points,
    short,
    table,
    ticker_link,
    time_column,
)
from summaries.kinds import EXTRACTIVE
from summaries.models import Analysis, Article, EarningsSummary, Summary

MADE = time_column("created_at", "On (UTC)")
GROUNDING: Any = ("Grounding", {"fields": ["grounded_share", "dropped", "prompt_version", "created_at"]})


class Grounding(admin.SimpleListFilter):
    title = "grounding"
    parameter_name = "grounding"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "Everything is grounded"), ("dropped", "Something was left out")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset.filter(grounded=F("claims"), dropped=0)
        return queryset.exclude(grounded=F("claims"), dropped=0) if self.value() == "dropped" else queryset


class TextAdmin(FoundBySymbol[Any]):
    list_filter = [WrittenBy, Grounding, "created_at"]

    @admin.display(description="By", ordering="model")
    def by(self, row: Any) -> str:
        return "extractive" if row.model == EXTRACTIVE else str(row.model)

    @admin.display(description="Grounded")
    def grounded_share(self, row: Any) -> str:
        return percent(row.grounded, row.claims)

    @admin.display(description="Text")
    def text(self, row: Any) -> str:
        return paragraphs(row.sentences)

    @admin.display(description="Text")
    def beginning(self, row: Any) -> str:
        """Of the first sentence."""
        first = row.sentences[0] if row.sentences else NONE
        return short(first, 100)


@admin.register(Summary)
class SummaryAdmin(TextAdmin):
    list_display = [
        "id",
        "headline",
        "beginning",
        "sentiment",
        "by",
        "grounded_share",
        "dropped",
        MADE,
    ]
    search_help_text = "A symbol, in any spelling, or words of the headline"
    fieldsets = [
        (None, {"fields": ["headline", "text", "key_points_text", "sentiment", "related_text", "model"]}),
        GROUNDING,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Summary]:
        return super().get_queryset(request).select_related("article").defer("article__text")

    def of_symbol(self, symbol: str) -> Q:
        return Q(article__in=Article.objects.filter(tickers__symbol=symbol).values("pk"))

    def of_words(self, text: str) -> Q:
        return Q(article__headline__icontains=text)

    @admin.display(description="Article", ordering="article")
    def headline(self, row: Summary) -> str:
        return link_to("summaries_article_change", short(row.article.headline), row.article_id)

    @admin.display(description="Key points")
    def key_points_text(self, row: Summary) -> str:
        return points(row.key_points)

    @admin.display(description="Related tickers")
    def related_text(self, row: Summary) -> str:
        return ", ".join(row.related) or NONE


@admin.register(EarningsSummary)
class EarningsSummaryAdmin(TextAdmin):
    list_display = ["id", "call", "beginning", "sentiment", "by", "grounded_share", "dropped", MADE]
    fieldsets = [
        (None, {"fields": ["call", "text", "metrics", "outlook", "sentiment", "model"]}),
        GROUNDING,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EarningsSummary]:
        return super().get_queryset(request).select_related("transcript").defer("transcript__speeches")

    def of_symbol(self, symbol: str) -> Q:
        return Q(transcript__ticker__symbol=symbol)

    @admin.display(description="Earnings call", ordering="transcript")
    def call(self, row: EarningsSummary) -> str:
        return link_to("summaries_transcript_change", row.transcript.title, row.transcript_id)

    @admin.display(description="Key metrics")
    def metrics(self, row: EarningsSummary) -> str:
        return table(("Name", "Value"), ((one.get("name"), one.get("value")) for one in row.key_metrics))

    @admin.display(description="Forward guidance")
    def outlook(self, row: EarningsSummary) -> str:
        return points(row.guidance)


@admin.register(Analysis)
class AnalysisAdmin(TextAdmin):
    list_display = [
        "id",
        "symbol",
        "persona",
        "score",
        "beginning",
        "by",
        "grounded_share",
        "dropped",
        MADE,
    ]
    list_filter = ["persona", WrittenBy, Grounding, "created_at"]
    list_select_related = ["ticker"]
    fieldsets = [
        (None, {"fields": ["symbol", "persona", "score", "text", "model"]}),
        ("What it is computed from", {"fields": ["criteria_table", "inputs_table", "inputs_hash"]}),
        GROUNDING,
    ]

    def of_symbol(self, symbol: str) -> Q:
        return Q(ticker__symbol=symbol)

    @admin.display(description="Ticker", ordering="ticker_id")
    def symbol(self, row: Analysis) -> str:
        return ticker_link(row.ticker)

    @admin.display(description="Criteria")
    def criteria_table(self, row: Analysis) -> str:
        rows = (
            (one.get("name"), f"{one.get('points')} of {one.get('of')}", one.get("text"))
            for one in row.criteria
        )
        return table(("Criterion", "Points", "Why"), rows)

    @admin.display(description="Inputs")
    def inputs_table(self, row: Analysis) -> str:
        rows = (
            (name.replace("_", " "), one.get("value"), one.get("as_of"), one.get("source"))
            for name, one in row.inputs.items()
        )
        return table(("Input", "Value", "As of", "Source"), rows)
