"""Articles as pages show them: grouped by the reader's days, each with its tickers, its summary and who wrote that.

Everything in here is text. A page escapes it; nothing of an article or a model becomes HTML, a picture, or a link
other than the one to the original, which is opened by a click and told no address of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from urllib.parse import urlsplit

from django.db.models import Q, QuerySet

from dashboard import formats
from dashboard.moments import ago_words, clock_words, day_words, of_us, zone_name
from dashboard.rows import REASONS
from dashboard.sentiment import Sentiment
from dashboard.text_labels import label_of
from marketdata.lookup import stored_quotes
from marketdata.models import Ticker
from marketdata.quotes import NoQuote, Quote
from summaries import news, texts
from summaries.models import Article, Summary

PAGE = 20
WITH_TIME = timedelta(days=30)
"""So long the hour of an article is of interest."""
SAFE_SCHEMES = ("http", "https")
PLACE = re.compile(r"(\d{1,16})-(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Between two articles of the list: where the next page begins, and above what there is something new."""

    at: datetime
    id: int

    @classmethod
    def of(cls, article: Article) -> Place:
        return cls(article.published_at, article.pk)

    @classmethod
    def read(cls, text: str) -> Place | None:
        """None for what is no place."""
        found = PLACE.fullmatch(text)
        return cls(of_us(int(found[1])), int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{(self.at - of_us(0)) // timedelta(microseconds=1)}-{self.id}"

    @property
    def older(self) -> Q:
        return Q(published_at__lt=self.at) | Q(published_at=self.at, pk__lt=self.id)

    @property
    def newer(self) -> Q:
        return Q(published_at__gt=self.at) | Q(published_at=self.at, pk__gt=self.id)


@dataclass(frozen=True, slots=True)
class TickerChip:
    """A ticker an article is about, with how it has moved today. Says of what kind its price is."""

    ticker: Ticker
    outcome: Quote | NoQuote

    @property
    def symbol(self) -> str:
        return self.ticker.symbol

    @property
    def state(self) -> str:
        if isinstance(self.outcome, NoQuote):
            return "none"
        return "stale" if self.outcome.stale else "ok"

    @property
    def direction(self) -> formats.Direction:
        return formats.direction(self.outcome.change_percent if isinstance(self.outcome, Quote) else None)

    @property
    def percent(self) -> str:
        return formats.percent(self.outcome.change_percent) if isinstance(self.outcome, Quote) else ""

    @property
    def title(self) -> str:
        if isinstance(self.outcome, NoQuote):
            return f"{self.ticker.name}: {REASONS[self.outcome.reason].lower()}"
        price = f"{formats.price(self.outcome.price)} {self.ticker.currency}"
        return f"{self.ticker.name}: {price}{_kind_words(self.outcome)}"


def _kind_words(quote: Quote) -> str:
    if quote.replay_date:
        return f", replay of {formats.day(quote.replay_date)}"
    if quote.provider == "simulator":
        return ", simulated"
    return ", stale" if quote.stale else ""


@dataclass(frozen=True, slots=True)
class SummaryPart:
    sentences: list[str]
    key_points: list[str]
    sentiment: Sentiment
    label: str

    @classmethod
    def of(cls, row: Summary, zone: tzinfo) -> SummaryPart | None:
        """None where there is nothing to say: of an article that is only a headline."""
        if not row.sentences and not row.key_points:
            return None
        own_words = "Sentences of the article itself"
        return cls(
            sentences=list(row.sentences),
            key_points=list(row.key_points),
            sentiment=Sentiment(row.sentiment),
            label=label_of("Summary", row.model, row.created_at, zone, without_model=own_words),
        )


@dataclass(frozen=True, slots=True)
class ArticleLine:
    article: Article
    ago: str
    """Empty of an old one, which has its day alone: many were told without a time."""
    time: str
    title: str
    """The moment in full."""
    chips: list[TickerChip]
    summary: SummaryPart | None

    @property
    def url(self) -> str:
        return self.article.url if self.host else ""

    @property
    def host(self) -> str:
        """Where the link leads; empty where there is none that may be followed."""
        return host_of(self.article.url)


def host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").removeprefix("www.") if parts.scheme in SAFE_SCHEMES else ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class NewsDay:
    label: str
    lines: list[ArticleLine]


@dataclass(frozen=True, slots=True)
class NewsList:
    """One page of articles. `symbols` None: of every ticker."""

    days: list[NewsDay]
    older: Place | None
    newest: Place | None
    """Of this page; above it is what has come since, where it is the first."""
    is_first: bool

    @classmethod
    def of(
        cls, symbols: Sequence[str] | None, now: datetime, zone: tzinfo, before: Place | None = None
    ) -> NewsList:
        rows = news.latest(symbols)
        if before is not None:
            rows = rows.filter(before.older)
        found = list(rows.defer("text")[: PAGE + 1])
        shown = found[:PAGE]
        return cls(
            days=list(_days(_lines(shown, now, zone), now, zone)),
            older=Place.of(shown[-1]) if len(found) > PAGE else None,
            newest=Place.of(shown[0]) if shown else None,
            is_first=before is None,
        )


def newer_than(place: Place | None, symbols: Sequence[str] | None) -> QuerySet[Article]:
    """What has come above the first article of an open page; everything where it had none."""
    rows = news.latest(symbols)
    return rows.filter(place.newer) if place else rows


def _lines(articles: Sequence[Article], now: datetime, zone: tzinfo) -> Iterator[ArticleLine]:
    summaries = texts.best_summaries([article.pk for article in articles])
    tickers = {article.pk: list(article.tickers.all()) for article in articles}
    quotes = stored_quotes({ticker.symbol for of_one in tickers.values() for ticker in of_one})
    for article in articles:
        row = summaries.get(article.pk)
        yield ArticleLine(
            article=article,
            ago=ago_words(article.published_at, now) if now - article.published_at < WITH_TIME else "",
            time=clock_words(article.published_at, zone),
            title=_moment(article.published_at, zone),
            chips=_chips(tickers[article.pk], quotes),
            summary=SummaryPart.of(row, zone) if row else None,
        )


def _moment(at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    return f"{formats.day(local.date())}, {formats.clock_time(local)} {zone_name(at, zone)}"


def _chips(tickers: Iterable[Ticker], quotes: Mapping[str, Quote | NoQuote]) -> list[TickerChip]:
    ordered = sorted(tickers, key=lambda ticker: ticker.symbol)
    return [TickerChip(ticker, quotes[ticker.symbol]) for ticker in ordered]


def _days(lines: Iterable[ArticleLine], now: datetime, zone: tzinfo) -> Iterator[NewsDay]:
    for label, of_day in groupby(lines, key=lambda line: day_words(line.article.published_at, now, zone)):
        yield NewsDay(label, list(of_day))
