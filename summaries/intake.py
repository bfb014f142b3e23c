"""Which articles may be kept, and as what: plain text on known tickers with a date that can be. Writes no row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from core import clock
from marketdata.company import News
from marketdata.models import Ticker
from summaries import cleaning
from summaries.models import Article

# Nothing older is an article of these days, and a wrong unit of time ends up there.
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
# A vendor's clock may be ahead of ours by so much; what is later than that cannot be.
AHEAD = timedelta(hours=1)
# What a browser reads otherwise than we do leads elsewhere than we say, and a name before the host looks like one.
MISLEADING = re.compile(r"[\\@<>\"'`{}|^%]")
# What names more is a list, and is about none of them.
MOST_SYMBOLS = 100
HEADLINE_LENGTH, SOURCE_LENGTH, URL_LENGTH, ID_LENGTH, LICENCE_LENGTH = 500, 100, 1000, 200, 200


class Refusal(StrEnum):
    """Why an article is not kept, as a sentence goes on after "the article"."""

    NO_HEADLINE = "has no headline"
    NO_TICKER = "names no ticker that is known"
    NO_ZONE = "has a time without a time zone"
    TOO_OLD = "is too old"
    FUTURE = "is of the future"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is true of all articles of one ingestion."""

    provider: str
    is_fictional: bool = False
    licence: str = ""
    oldest: datetime = EARLIEST
    wants_all: bool = False
    """A model's summary is wanted of each, not only of what is new and wanted."""


@dataclass(slots=True)
class Fit:
    """An article that may be kept, not yet a row, and the tickers it names."""

    article: Article
    ticker_ids: set[int]


def known_tickers(news: Iterable[News]) -> dict[str, int]:
    # PostgreSQL takes no NUL, and no symbol has one.
    symbols = {symbol for one in news for symbol in one.symbols if symbol.isprintable()}
    return dict(Ticker.objects.filter(symbol__in=symbols).values_list("symbol", "pk"))


def examine(news: News, known: Mapping[str, int], terms: Terms) -> Fit | Refusal:
    headline = cleaning.headline(news.headline)[:HEADLINE_LENGTH]
    ticker_ids = {known[symbol] for symbol in news.symbols[:MOST_SYMBOLS] if symbol in known}
    if not any(char.isalnum() for char in headline):  # without a word all of these would be one article
        return Refusal.NO_HEADLINE
    if not ticker_ids:
        return Refusal.NO_TICKER
    if refusal := _misdated(news.published_at, terms.oldest):
        return refusal
    text = cleaning.plain(news.body)
    now = clock.now()
    article = Article(
        headline=headline,
        text=text,
        source=cleaning.headline(news.source)[:SOURCE_LENGTH],
        url=_web_address(news.url),
        licence=cleaning.headline(terms.licence)[:LICENCE_LENGTH],
        provider=terms.provider,
        external_id=cleaning.visible(news.external_id)[:ID_LENGTH],
        content_hash=cleaning.content_hash(headline, text),
        is_fictional=terms.is_fictional,
        published_at=min(news.published_at, now),
        loaded_at=now,
    )
    return Fit(article, ticker_ids)


def _misdated(published_at: datetime, oldest: datetime) -> Refusal | None:
    if published_at.tzinfo is None:
        return Refusal.NO_ZONE
    if published_at < oldest:
        return Refusal.TOO_OLD
    return Refusal.FUTURE if published_at > clock.now() + AHEAD else None


def _web_address(url: str) -> str:
    """Empty for what is no address of a page: it becomes a link."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    whole = parts.scheme in {"http", "https"} and parts.hostname and len(url) <= URL_LENGTH
    return (
        url if whole and url.isprintable() and not MISLEADING.search(parts.netloc) and " " not in url else ""
    )


def _not_withdrawn(fits: Sequence[Fit], terms: Terms) -> list[Fit]:
    """What a person has withdrawn does not come back because its vendor has changed a word of it."""
    told = {fit.article.external_id for fit in fits} - {""}
    rows = Article.objects.filter(provider=terms.provider, external_id__in=told, text="")
    found = rows.values_list("external_id", "headline", "content_hash") if told else ()
    # The hash of a headline alone is another one.
    gone = {id_ for id_, headline, hash_ in found if hash_ != cleaning.content_hash(headline, "")}
    return [fit for fit in fits if fit.article.external_id not in gone]


def merged(fits: Sequence[Fit], terms: Terms) -> list[Fit]:
    """Each content and each id of the vendor once, with the tickers of all; of edited the newest, of withdrawn none."""
    found: dict[str, Fit] = {}
    by_id: dict[str, Fit] = {}
    for fit in sorted(_not_withdrawn(fits, terms), key=lambda one: one.article.published_at):
        article = fit.article
        earlier = found.get(article.content_hash) or by_id.get(article.external_id)
        if earlier is not None:
            fit.ticker_ids |= earlier.ticker_ids
            found.pop(earlier.article.content_hash, None)
        found[article.content_hash] = fit
        if article.external_id:
            by_id[article.external_id] = fit
    # In one order, in which no two processes wait for each other.
    return [found[content_hash] for content_hash in sorted(found)]
